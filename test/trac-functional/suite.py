# -*- coding: utf-8 -*-
"""Runs Trac's own functional tests through the gateway: Trac 1.4 on Python 2.7, Trac 1.6 on Python 3.

`run.ts` starts it, with the sources of Trac in TRAC_FUNCTIONAL_PATH. Replaced are: where pages are
asked for, how somebody signs in and out, and the settings that put an environment behind the
gateway. The tests themselves, and what they do with trac-admin, are untouched.

What came of each test goes to the descriptor in TRAC_FUNCTIONAL_RESULTS, as one line of JSON.
"""

from __future__ import print_function

import json
import os
import re
import shutil
import socket
import sys
import time
import traceback
import unittest

# The sources go before the Trac that is installed, here and in what the suite starts. The command
# of Trac 1.4's Python sets PYTHONPATH itself.
sources = os.environ['TRAC_FUNCTIONAL_PATH'].split(os.pathsep)
sys.path[1:1] = sources
if os.environ.get('PYTHONPATH'):
    sources.append(os.environ['PYTHONPATH'])
os.environ['PYTHONPATH'] = os.pathsep.join(sources)

import trac.tests.functional as functional

try:
    from urllib.parse import quote
    from urllib.request import Request, urlopen
except ImportError:  # Python 2.7
    from urllib import quote
    from urllib2 import Request, urlopen

if sys.version_info[0] == 2:
    import driver_twill as driver
else:
    import driver_chromium as driver

POLICIES = 'DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy'

# Where browsers ask, and where Trac listens behind the gateway.
PUBLIC_PORT = int(os.environ['TRAC_TEST_PORT'])
TRAC_PORT = int(os.environ['TRAC_FUNCTIONAL_TRAC_PORT'])
# Takes people and permissions, and answers once the gateway has them.
CONTROL = os.environ['TRAC_FUNCTIONAL_CONTROL']


class GatewayEnvironment(functional.FunctionalTestSuite.env_class):
    """Trac's environment for its tests, behind the gateway."""

    def init(self):
        # What the suite calls its port is the one that it asks at.
        self.port = PUBLIC_PORT
        self.people = set([u'admin'])

    def start(self):
        self.port = TRAC_PORT
        try:
            super(GatewayEnvironment, self).start()
        finally:
            self.port = PUBLIC_PORT
        # Trac 1.4's suite waits for any answer, and the gateway has one while Trac is away.
        for _ in range(300):
            try:
                socket.create_connection(('127.0.0.1', TRAC_PORT)).close()
                break
            except (IOError, OSError):
                time.sleep(0.1)
        functional.tc.go(self.url)

    def post_create(self, env):
        """Puts it behind the gateway (deploy/docs/guides/trac-side.md, deploy/docs/guides/people.md)."""
        super(GatewayEnvironment, self).post_create(env)
        shutil.copy(os.environ['TRAC_FUNCTIONAL_PLUGIN'], os.path.join(self.tracdir, 'plugins'))
        key_file = os.path.join(self.tracdir, 'conf', 'trac_gateway.keys')
        with open(key_file, 'w') as f:
            f.write(os.environ['TRAC_FUNCTIONAL_KEY'])
        os.chmod(key_file, 0o600)
        for section, name, value in (
                ('trac', 'base_url', self.url),
                ('trac', 'use_base_url_for_redirect', 'true'),
                ('trac', 'permission_policies', POLICIES),
                ('trac', 'permission_store', 'TracGatewayPermissionStore'),
                ('trac', 'request_filters', 'TracGateway'),
                ('components', 'trac.web.auth.loginmodule', 'disabled'),
                ('trac_gateway', 'key_file', 'trac_gateway.keys')):
            env.config.set(section, name, value)
        env.config.save()
        self.tell_gateway()

    def adduser(self, user):
        super(GatewayEnvironment, self).adduser(user)
        self.people.add(text(user))
        self.tell_gateway()

    def deluser(self, user):
        super(GatewayEnvironment, self).deluser(user)
        self.people.discard(text(user))
        # What the plugin keeps of people; it fills again as they come.
        shutil.rmtree(os.path.join(self.tracdir, 'files', 'trac_gateway'), ignore_errors=True)
        self.tell_gateway()

    def grant_perm(self, user, perm):
        super(GatewayEnvironment, self).grant_perm(user, perm)
        self.tell_gateway()

    def revoke_perm(self, user, perm):
        super(GatewayEnvironment, self).revoke_perm(user, perm)
        self.tell_gateway()

    def tell_gateway(self):
        """Writes into gateway.yaml what trac-admin has granted, groups of Trac resolved."""
        granted = {}
        for subject, action in self.get_trac_environment().db_query(
                "SELECT username, action FROM permission ORDER BY username, action"):
            granted.setdefault(subject, []).append(action)

        def actions_of(subject, seen=()):
            actions = set()
            for action in granted.get(subject, ()):
                if action.isupper():
                    actions.add(action)
                elif action not in seen:
                    actions |= actions_of(action, seen + (action,))
            return actions

        subjects = self.people | set([u'anonymous', u'authenticated'])
        state = dict((name, sorted(actions_of(name))) for name in subjects)
        request = Request(CONTROL, json.dumps(state).encode('utf-8'),
                          {'Content-Type': 'application/json'})
        urlopen(request).read()


class GatewayTester(functional.FunctionalTestSuite.tester_class):
    """Trac's tester, which signs in and out as people do with the gateway."""

    def login(self, username):
        self.go_to_front()
        functional.tc.find("Login")
        driver.sign_in(self.url + '/login?referer=' + quote(self.url, ''), address_of(username),
                       username)
        # From here on as Trac's own.
        functional.tc.notfind(functional.internal_error)
        functional.tc.find('logged in as[ \t\n]+<span class="trac-author-user">%s</span>'
                           % driver.native(username))
        functional.tc.find("Logout")
        driver.is_at(self.url)

    def logout(self):
        # Trac leads back to the page. The gateway leads to one of its own, by the provider, which
        # signs out, too.
        driver.sign_out()
        self.go_to_front()
        functional.tc.notfind(functional.internal_error)
        functional.tc.notfind('logged in as')


def text(value):
    return value.decode('utf-8') if isinstance(value, bytes) else value


def address_of(username):
    """The address by which somebody signs in at the provider; run.ts makes the same one."""
    return quote(text(username).encode('utf-8')) + '@example.edu'


class Results(unittest.TestResult):
    """Says what came of each test as soon as it is known."""

    def __init__(self, out):
        super(Results, self).__init__()
        self.out = out
        self.tester = None

    def _say(self, test, outcome, words=''):
        line = json.dumps({'name': name_of(test), 'outcome': outcome, 'words': words})
        self.out.write(line + '\n')
        self.out.flush()

    def addSuccess(self, test):
        self._say(test, 'passed')

    def addSkip(self, test, reason):
        self._say(test, 'skipped', reason)

    def addFailure(self, test, err):
        words = ''.join(traceback.format_exception(*err))
        self._say(test, 'failed', words if isinstance(words, str) else text(words))
        self._come_back(test)

    addError = addFailure

    def _come_back(self, test):
        """A test that broke off between two sign-ins would take all after it with it."""
        tester = getattr(test, '_tester', None)
        if tester is None:
            return
        try:
            functional.tc.go(tester.url)
            signed_in = re.search(b'logged in as\\s+<span class="trac-author-user">([^<]*)<',
                                  driver.page())
            if signed_in is None or signed_in.group(1) != b'admin':
                if signed_in is not None:
                    tester.logout()
                tester.login('admin')
        except Exception:
            traceback.print_exc()


def name_of(test):
    """Its class with the module, and the method where the class has several."""
    return re.sub(r'\.runTest$', '', test.id())


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            for one in flatten(test):
                yield one
        else:
            yield test


def main(parts):
    suite_class = functional.FunctionalTestSuite
    suite_class.env_class = GatewayEnvironment
    suite_class.tester_class = GatewayTester
    driver.install(functional)
    suite = functional.test_suite()
    chosen = [test for test in flatten(suite)
              if not parts or any(part in name_of(test) for part in parts)]
    suite._tests = chosen
    suite.run(Results(os.fdopen(int(os.environ['TRAC_FUNCTIONAL_RESULTS']), 'w')))


if __name__ == '__main__':
    main(sys.argv[1:])
