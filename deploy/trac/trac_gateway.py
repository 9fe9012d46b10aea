# -*- coding: utf-8 -*-
"""Makes Trac honour the identity that trac-gateway signs into each request, and refuse all others.

One file for the `plugins/` folder of a Trac environment: Trac 1.4 on Python 2.7, Trac 1.6 on
Python 3.8 and later, nothing beside Trac and the standard library. Invariant: no page, file or
error of this environment is served to a request without a valid signature.
"""

import base64
import hashlib
import heapq
import hmac
import json
import logging
import os
import re
import threading
import time
import unicodedata

from trac.attachment import LegacyAttachmentPolicy
from trac.config import BoolOption, IntOption, ListOption, Option, PathOption
from trac.core import Component, ExtensionPoint, TracError, implements
from trac.notification.api import INotificationSubscriber, NotificationSystem
from trac.perm import (DefaultPermissionPolicy, DefaultPermissionStore, IPermissionGroupProvider,
                       IPermissionPolicy, IPermissionStore, PermissionCache, PermissionSystem)
from trac.util import AtomicFile
from trac.util.html import tag
from trac.util.text import exception_to_unicode
from trac.util.translation import _, tag_
from trac.web.api import HTTPForbidden, IAuthenticator, IRequestFilter
from trac.web.auth import LoginModule
from trac.web.chrome import Chrome, INavigationContributor, add_notice, add_script, add_warning
from trac.web.href import Href
from tracopt.ticket.commit_updater import CommitTicketUpdater

try:
    from urllib.parse import quote_from_bytes as quote, unquote_to_bytes as unquote, urlsplit
except ImportError:  # Python 2.7, where text of the request is bytes
    from urllib import quote, unquote
    from urlparse import urlsplit

# Told to the gateway with every answer, and shown on Trac's page about its plugins.
__version__ = '0.4'

# Seconds by which the clocks of gateway and Trac may differ.
CLOCK_TOLERANCE = 30

# Seconds for which a signature may be valid (an upload may take that long to arrive).
LONGEST_LIFETIME = 3600

# Bytes that a key has at least: the output size of SHA-256 (RFC 2104, section 3).
SHORTEST_SECRET = 32

# How many used nonces are remembered, about 10 MB; see `Nonces` for what happens beyond it.
NONCES_KEPT = 50000

# Seconds after which what is kept of a user is written again, though nothing changed.
KEPT_FRESH = 86400

# How many users a process remembers besides, so that their files are not read each time.
USERS_REMEMBERED = 5000

# Characters of a user name, and of an e-mail address (RFC 5321, section 4.5.3.1.3).
LONGEST_NAME = 255
LONGEST_EMAIL = 254

# Whole-string patterns, so that a header that came twice (joined by a comma) never fits.
SIGNATURE = re.compile(
    br'v([12]);t=([0-9]{1,12});e=([0-9]{1,12});n=([A-Za-z0-9_-]{22})'
    br';kid=([A-Za-z0-9_-]{1,32});sig=([A-Za-z0-9_-]{43})\Z')
ENCODED_TEXT = re.compile(br'(?:[A-Za-z0-9._~@+-]|%[0-9A-Fa-f]{2})*\Z')
ACTIONS = re.compile(br'[A-Z0-9_,]*\Z')
GROUPS = re.compile(br'[A-Za-z0-9._~@+%,-]*\Z')
KIND = re.compile(br'[a-z]{0,32}\Z')
# What the gateway's `Via` says of its key: the id and the fingerprint.
VIA_KEY = re.compile(br'trac-gateway \(key ([A-Za-z0-9_-]{1,32}) ([0-9a-f]{8})\)')
# The gateway's name for a request, which is also in its own log.
REQUEST_ID = re.compile(br'[A-Za-z0-9._-]{1,128}\Z')
KEY_ID = re.compile(br'[A-Za-z0-9_-]{1,32}\Z')
EMAIL = re.compile(u'[^@,;:<>"()\\[\\]\\\\\\s]+@[^@,;:<>"()\\[\\]\\\\\\s]+\\Z', re.UNICODE)

# Control, format, surrogate, line and paragraph characters: they hide in a name or break a line.
UNPRINTABLE = ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')

# What the pages say that Trac has for what the gateway decides.
PERMISSIONS_ELSEWHERE = (
    u"Permissions are kept in the gateway's gateway.yaml (permissions.groups). What is granted or"
    u" revoked on this page changes nothing.")
PERMISSIONS_KEPT = u"Nothing was granted or revoked."
PROFILE_ELSEWHERE = (
    u"Your name and e-mail address come from the account that you sign in with. Change them there:"
    u" what is saved on this page is replaced by them.")
PROFILE_KEPT = (
    u"Your name and e-mail address were not changed: they come from the account that you sign in"
    u" with.")

# Trac's permission page; the shorter addresses show it to whoever sees no page before it.
PERMISSION_PAGE = re.compile(r'/admin(?:/general(/perm(?:/.*)?)?)?$')
# What the form sends in which Trac asks for name and e-mail address alone.
PROFILE_PAGE = '/prefs'
PROFILE_FORM = frozenset(('name', 'email', 'action', 'panel_id', '__FORM_TOKEN'))

# The cookie of an anonymous visitor's settings.
VISITOR_COOKIE = 'trac_session'

# What of a session's owner other plugins may ask the session for.
SESSION_ATTRIBUTES = ('cognito_username', 'authenticated', 'cognito_groups', 'cognito_sub')
SUBJECT = re.compile(r'[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')

# The author of a commit as Git and Mercurial write it.
AUTHOR = re.compile(r'<([^<>\s]+@[^<>\s]+)>\s*\Z')

# Where the verdict on a request is kept; a client can't set it, since its headers begin with HTTP_.
VERDICT = 'trac_gateway.verdict'


class Refused(Exception):
    """A request or a configuration that is not accepted; the text is the cause, fit for a page."""


class GatewayUser(type(u'')):
    """The user name of one request, carrying that request's rights.

    Trac hands this very object to every policy call, so no thread-local and no cache is needed, and
    two requests of one name with different rights can never meet. A plain text has no rights.
    """

    grants = frozenset()
    groups = ()

    def __new__(cls, name, grants=(), groups=()):
        self = super(GatewayUser, cls).__new__(cls, name)
        self.grants = frozenset(grants)
        self.groups = tuple(groups)
        return self


class Verdict(object):
    """What the signature said about one request; `cause` is None if it is accepted."""

    # What proves to the gateway that this plugin judged the request; set once it is accepted.
    answer = None
    # How the user came (`X-Trac-Kind`), and the permissions as they were sent.
    kind = ''
    sent = ()
    # What the gateway calls the request; set once it is accepted.
    request_id = '-'

    def __init__(self, user, email=u'', name=u'', cause=None):
        # None: Trac itself says who it is, by its own cookie or what its server says (`legacy`).
        self.user = user
        self.email = email
        self.name = name
        self.cause = cause


class Nonces(object):
    """Remembers which nonces were used, in bounded memory, and never forgets one that is still valid.

    When it is full, the entry signed longest ago is dropped and everything signed until then is
    refused from there on: only uploads that began before that can suffer, never a fresh request.
    """

    def __init__(self, limit):
        self._limit = limit
        self._lock = threading.Lock()
        self._used = set()
        self._by_age = []
        self._refused_until = 0

    def use(self, nonce, signed, expires, now):
        """Whether `nonce` is used for the first time."""
        with self._lock:
            while self._by_age and self._by_age[0][1] < now:
                self._used.discard(heapq.heappop(self._by_age)[2])
            if signed <= self._refused_until or nonce in self._used:
                return False
            self._used.add(nonce)
            heapq.heappush(self._by_age, (signed, expires, nonce))
            if len(self._by_age) > self._limit:
                oldest = heapq.heappop(self._by_age)
                self._used.discard(oldest[2])
                self._refused_until = oldest[0]
            return True


# One for the process: Trac makes its components anew whenever trac.ini changes.
nonces = Nonces(NONCES_KEPT)

# The verdict on the request that a thread is busy with; none between two requests.
requests = threading.local()


class RequestIds(logging.Filter):
    """Gives each record of Trac's log the id of the request that its thread is busy with.

    It is `request_id` of the record, for `[logging] log_format`, and `-` outside of an accepted
    request. A format without it gets the id in brackets before the message.
    """

    def __init__(self, is_shown):
        logging.Filter.__init__(self)
        self._is_shown = is_shown

    def filter(self, record):
        verdict = getattr(requests, 'verdict', None)
        record.request_id = '-' if verdict is None else verdict.request_id
        if (record.request_id != '-' and not self._is_shown and
                isinstance(record.msg, (str, type(u'')))):
            # Nothing in an id means anything to the formatting of the message.
            record.msg = '[%s] ' % record.request_id + record.msg
        return True

    @classmethod
    def install(cls, env):
        """Adds it to the log of an environment, in the place of one from before a reload."""
        for old in [one for one in env.log.filters if type(one).__name__ == cls.__name__]:
            env.log.removeFilter(old)
        env.log.addFilter(cls('(request_id)' in (env.log_format or '')))


def forget_verdicts(env):
    """Ends the verdict of a thread with its request: Trac calls `shutdown` after each."""
    shutdown = env.shutdown

    def shutdown_and_forget(tid=None):
        try:
            shutdown(tid)
        finally:
            requests.verdict = None

    env.shutdown = shutdown_and_forget


class KeptUser(object):
    """What the last session of a user brought; `seen` is when that was written, in Unix seconds."""

    def __init__(self, name, permissions, groups, email, seen):
        self.name = name
        self.permissions = permissions
        self.groups = groups
        self.email = email
        self.seen = seen
        # The permissions with all that they contain; whoever reads the user fills them in.
        self.grants = frozenset()

    def says(self):
        return (self.name, sorted(self.permissions), sorted(self.groups), self.email)


class KeptUsers(object):
    """A folder with a file for each user, replaced whole: any number of processes can share it."""

    def __init__(self, folder, expand):
        self._folder = folder
        self._expand = expand
        # File name to stamp and user; emptied when it is full.
        self._read = {}

    def find(self, name):
        """The user of this very name, however long ago; None for one who is not kept."""
        try:
            user = self._load(self._file_of(name))
        except UnicodeError:
            return None
        return user if user is not None and user.name == name else None

    def __iter__(self):
        try:
            files = os.listdir(self._folder)
        except OSError:
            return
        for file in sorted(files):
            user = self._load(file) if file.endswith('.json') else None
            if user is not None:
                yield user

    def keep(self, user, oldest):
        """Writes one user; with a new one, those whom nobody saw since `oldest` are removed."""
        path = os.path.join(self._folder, self._file_of(user.name))
        text = json.dumps({'user': user.name, 'permissions': user.permissions, 'groups': user.groups,
                           'email': user.email, 'seen': user.seen}, sort_keys=True)
        is_new = not os.path.exists(path)
        if is_new:
            self._make_room(oldest)
        file = AtomicFile(path, 'wb')
        try:
            file.write(text.encode('ascii'))
            file.commit()
        finally:
            file.rollback()
        if is_new:
            # A hook may run as another user than Trac's server does.
            os.chmod(path, os.stat(self._folder).st_mode & 0o666)

    def _make_room(self, oldest):
        try:
            os.makedirs(self._folder)
        except OSError:
            if not os.path.isdir(self._folder):
                raise
        for user in list(self):
            if user.seen < oldest:
                file = self._file_of(user.name)
                self._read.pop(file, None)
                try:
                    os.remove(os.path.join(self._folder, file))
                except OSError:
                    # Another process was faster, or it is for the next one.
                    pass

    def _file_of(self, name):
        text = name if isinstance(name, bytes) else name.encode('utf-8')
        return hashlib.sha256(text).hexdigest()[:40] + '.json'

    def _load(self, file):
        path = os.path.join(self._folder, file)
        try:
            stamp = stamp_of(os.stat(path))
            known = self._read.get(file)
            if known is not None and known[0] == stamp:
                return known[1]
            with open(path, 'rb') as opened:
                told = json.loads(opened.read(1048576).decode('utf-8'))
            user = KeptUser(told['user'], told['permissions'], told['groups'], told['email'],
                            int(told['seen']))
            if not (is_text(user.name) and is_text(user.email) and are_texts(user.permissions) and
                    are_texts(user.groups)):
                return None
            user.grants = frozenset(self._expand(user.permissions))
        except (IOError, OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError):
            # Gone meanwhile, or not ours, such as lists in lists without end: nothing is known then.
            return None
        if len(self._read) >= USERS_REMEMBERED:
            self._read.clear()
        self._read[file] = (stamp, user)
        return user


def wire(environ, key):
    """The bytes that the server read for `key` (PEP 3333 keeps them as latin-1 text)."""
    value = environ.get(key) or ''
    return value if isinstance(value, bytes) else value.encode('latin-1')


def signed_text(fields):
    """The text under the signature: each field with its length, so that none can spill over."""
    return b''.join(b'%d:%s\n' % (len(field), field) for field in fields)


def signature_of(secret, text):
    """HMAC-SHA-256 as base64url without padding."""
    digest = hmac.new(secret, text, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b'=')


def answer_to(secret, kid, nonce):
    """The value of `X-Trac-Gateway` in the answer to one request."""
    version = __version__.encode('ascii')
    mac = signature_of(secret, signed_text([b'trac-gateway-answer-v1', kid, nonce, version]))
    return 'v1;%s;%s' % (__version__, mac.decode('ascii'))


def fingerprint(secret):
    """Tells two keys apart without telling anything of them."""
    return hmac.new(secret, b'trac-gateway-key', hashlib.sha256).hexdigest()[:8]


def shown(path):
    """A path as a page and a log can show it."""
    return quote(path, safe="/:@!$&'()*+,;=~") or '/'


def decoded(value, what):
    """Percent-decodes a header once and reads it as strict UTF-8; `+` stays a plus."""
    if not ENCODED_TEXT.match(value):
        raise Refused('%s is malformed or came more than once.' % what)
    try:
        return unquote(value).decode('utf-8')
    except UnicodeDecodeError:
        raise Refused('%s is not UTF-8.' % what)


def is_printable(text):
    """Whether no character of `text` is invisible or ends a line."""
    return not any(unicodedata.category(character) in UNPRINTABLE for character in text)


def is_text(value):
    return isinstance(value, type(u''))


def are_texts(value):
    return isinstance(value, list) and all(is_text(one) for one in value)


def is_name(text):
    """Whether `text` can be a user name that looks like no other and means nothing else to Trac."""
    return (len(text) <= LONGEST_NAME and text == text.strip() and u',' not in text and
            is_printable(text) and unicodedata.normalize('NFKC', text) == text and
            text.lower() not in (u'anonymous', u'authenticated'))


def read_keys(path):
    """Reads a key file: lines `kid secret`, empty lines and lines with `#` in front left out.

    :return: the stamp of the file that was read, and its keys by their id.
    """
    try:
        with open(path, 'rb') as file:
            status = os.fstat(file.fileno())
            lines = file.read(65536).splitlines()
    except (IOError, OSError) as e:
        raise Refused('[trac_gateway] key_file cannot be read (%s).' % e.strerror)
    # 027: nothing for others, and the group may read but not write.
    if os.name == 'posix' and status.st_mode & 0o027:
        raise Refused('[trac_gateway] key_file is readable by others or writable by its group: give'
                      ' it to the user that Trac runs as and set mode 0600.')
    keys = {}
    for line in lines:
        parts = line.split()
        if not parts or parts[0].startswith(b'#'):
            continue
        if len(parts) != 2 or not KEY_ID.match(parts[0]) or parts[0] in keys:
            raise Refused('[trac_gateway] key_file has a line that is not "kid secret", or a kid'
                          ' twice.')
        if len(parts[1]) < SHORTEST_SECRET:
            raise Refused('[trac_gateway] key_file has a secret of less than %d bytes.'
                          % SHORTEST_SECRET)
        keys[parts[0]] = parts[1]
    if not 1 <= len(keys) <= 2:
        raise Refused('[trac_gateway] key_file has %d keys, not one or two.' % len(keys))
    return stamp_of(status), keys


def stamp_of(status):
    """What changes when a file is written, replaced, or given another mode or owner."""
    return (status.st_mtime, status.st_ctime, status.st_size, status.st_ino, status.st_mode)


class TracGatewayPolicy(Component):
    """Grants what trac-gateway's header `X-Trac-Perms` granted to the user of this request.

    It says yes or nothing, so the policies after it can still add what belongs to the author of a
    comment or an attachment. List it in `trac.ini` after the policies that may say no, and leave
    `DefaultPermissionPolicy` out (else rights stored in Trac's database count as well):
    {{{
    [trac]
    permission_policies = DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy
    }}}
    Of users who are not making the request it says what their last session brought (see
    `TracGatewayUsers`), and nothing of whoever is not known.

    With `[trac_gateway] legacy` both are listed last, in this order: `LegacyAttachmentPolicy,
    TracGatewayPolicy, DefaultPermissionPolicy`. Then it says no, too, of whoever the gateway knows,
    and nothing of anybody else: stored rights count for them alone.
    """

    implements(IPermissionPolicy)

    # IPermissionPolicy methods

    def check_permission(self, action, username, resource, perm):
        if isinstance(username, GatewayUser):
            grants = username.grants
        elif self.env.is_enabled(TracGatewayUsers):
            grants = TracGatewayUsers(self.env).grants_of(username)
        else:
            grants = None
        if grants is None:
            return None
        if action in grants:
            return True
        return False if self.config.getbool('trac_gateway', 'legacy') else None


class TracGatewayUsers(Component):
    """Knows the rights and groups of users who are not making the request.

    Trac asks for them when it lists who may own a ticket, sends mail, or lets a commit close a
    ticket. The gateway tells of them with `signature: v2` (`upstreams.trac` in `gateway.yaml`). What
    the last session of a user brought is kept in the folder `files/trac_gateway` of the environment:
    permissions, groups, e-mail address. Bearer tokens and machines change nothing there, since they
    may carry less. Nothing in that folder says who makes a request or what that request may do.

    Groups are Trac's groups, too, for plugins that ask for those of a user. For the lists of owners,
    and for groups in a ticket's CC and in `set_owner` of a workflow, this line is needed:
    {{{
    [trac]
    permission_store = TracGatewayPermissionStore
    }}}
    """

    implements(INotificationSubscriber, IPermissionGroupProvider)

    last_seen_days = IntOption('trac_gateway', 'last_seen_days', 30,
        """For how many days after their last session the rights of a user are known while they are
        not making the request. Whoever was taken out of a group keeps its rights here until they come
        again, or for so long. 0 keeps nothing, and uses nothing.""")

    mail_viewers_only = BoolOption('trac_gateway', 'mail_viewers_only', 'true',
        """Whether Trac sends no mail about a ticket to a known user who may not view it. Addresses and
        users whom the gateway has not told of get mail as ever.""")

    def __init__(self):
        system = PermissionSystem(self.env)
        self.kept = KeptUsers(os.path.join(self.env.path, 'files', 'trac_gateway'),
                              system.expand_actions)
        self._failed = False

    # IPermissionGroupProvider methods

    def get_permission_groups(self, username):
        user = self._known(username)
        return list(user.groups) if user is not None else []

    # INotificationSubscriber methods

    def matches(self, event):
        resource = getattr(event.target, 'resource', None)
        if not self.mail_viewers_only or resource is None:
            return
        action = resource.realm.upper() + '_VIEW'
        if action not in PermissionSystem(self.env).actions:
            return
        transports = set(transport for distributor in NotificationSystem(self.env).distributors
                         for transport in distributor.transports())
        for user in self:
            if action not in PermissionCache(self.env, user.name, resource):
                for transport in sorted(transports):
                    # Trac asks no one's rule of a smaller number.
                    yield ('TracGatewayUsers', transport, user.name, 1, None, None, -1, 'never')

    def description(self):
        # Not for the list of rules that users can choose from.
        return None

    def requires_authentication(self):
        return True

    def default_subscriptions(self):
        return []

    # Public methods

    def __iter__(self):
        """Everybody who is known: `KeptUser`."""
        oldest = self._oldest()
        return (user for user in self.kept if user.seen >= oldest)

    def grants_of(self, username):
        """All permissions of a user who is given by plain text; None if nothing is known."""
        user = self._known(username)
        return user.grants if user is not None else None

    def name_of(self, address):
        """The user whose address this is, the one seen last if there are several; None for none."""
        wanted = address.lower()
        owners = [user for user in self if user.email.lower() == wanted]
        return max(owners, key=lambda user: user.seen).name if owners else None

    def note(self, verdict):
        """Keeps what a session brought, if it is new or a day old."""
        if verdict.kind != 'session' or self.last_seen_days <= 0:
            return
        now = int(time.time())
        user = KeptUser(type(u'')(verdict.user), sorted(verdict.sent), sorted(verdict.user.groups),
                        verdict.email, now)
        old = self.kept.find(user.name)
        if old is not None and old.says() == user.says() and now - old.seen < KEPT_FRESH:
            return
        try:
            self.kept.keep(user, self._oldest())
        except (IOError, OSError) as e:
            if not self._failed:
                self._failed = True
                self.log.error("trac_gateway cannot keep what users may do, so Trac does not know it"
                               " while they are not here: %s. The folder files/trac_gateway of the"
                               " environment must be writable for the user that Trac runs as; or set"
                               " [trac_gateway] last_seen_days = 0.", exception_to_unicode(e))

    # Internal methods

    def _oldest(self):
        """The time since when a user must have been seen."""
        days = self.last_seen_days
        return time.time() - days * 86400 if days > 0 else float('inf')

    def _known(self, username):
        """What is known of somebody: of who makes the request what it brought, else what is kept.

        A plain copy of the name of who makes the request gets nothing that the request did not bring.
        Nothing is known of anybody in a request that Trac itself judges (`legacy`).
        """
        if isinstance(username, GatewayUser):
            return username
        verdict = getattr(requests, 'verdict', None)
        if verdict is not None:
            if verdict.user is None:
                return None
            if verdict.user == username:
                return verdict.user
        if not username or username == u'anonymous':
            return None
        user = self.kept.find(username)
        return user if user is not None and user.seen >= self._oldest() else None


class TracGatewayPermissionStore(Component):
    """Tells Trac who has a permission, and who is in a group, as the gateway has told of them.

    Choose it by `[trac] permission_store = TracGatewayPermissionStore`: Trac makes its lists of
    people from there. It grants nothing by itself, for the policies are asked again for each of them.
    What Trac has stored stays beside it, and its pages and commands still change that.
    """

    implements(IPermissionStore)

    @property
    def stored(self):
        """Trac's own store."""
        return DefaultPermissionStore(self.env)

    def get_user_permissions(self, username):
        grants = TracGatewayUsers(self.env).grants_of(username)
        return sorted(grants) if grants is not None else self.stored.get_user_permissions(username)

    def get_users_with_permissions(self, permissions):
        users = set(self.stored.get_users_with_permissions(permissions))
        for user in TracGatewayUsers(self.env):
            if user.grants.isdisjoint(permissions):
                users.discard(user.name)
            else:
                users.add(user.name)
        return sorted(users)

    def get_all_permissions(self):
        # A group in capitals would be read as a permission.
        groups = [(user.name, group) for user in TracGatewayUsers(self.env) for group in user.groups
                  if not group.isupper()]
        return sorted(set(groups).union(self.stored.get_all_permissions()))

    def grant_permission(self, username, action):
        self.stored.grant_permission(username, action)

    def revoke_permission(self, username, action):
        self.stored.revoke_permission(username, action)


class TracGatewayCommitUpdater(CommitTicketUpdater):
    """Trac's commit ticket updater, for authors who are written as `Name <address>`.

    Git and Mercurial write the author of a commit so, and Trac knows nobody of that name. This takes
    the user whose verified e-mail address it is, as the gateway told of it (see `TracGatewayUsers`):
    the ticket is changed in that user's name, and only if they may. Its settings are those of Trac's
    own (`[ticket] commit_ticket_update_…`). To use it in place of that one:
    {{{
    [trac_gateway]
    commit_updater = true
    [components]
    tracopt.ticket.commit_updater.committicketupdater = disabled
    tracopt.ticket.commit_updater.committicketreferencemacro = enabled
    }}}
    Nothing proves who wrote a commit: whoever may push can name any author.
    """

    commit_updater = BoolOption('trac_gateway', 'commit_updater', 'false',
        """Whether messages of commits change tickets, with authors known by their address.""")

    # IRepositoryChangeListener methods

    def changeset_added(self, repos, changeset):
        if self._is_on():
            CommitTicketUpdater.changeset_added(self, repos, changeset)

    def changeset_modified(self, repos, changeset, old_changeset):
        if self._is_on():
            CommitTicketUpdater.changeset_modified(self, repos, changeset, old_changeset)

    # CommitTicketUpdater methods

    def _authname(self, changeset):
        return self._user_of(changeset.author) or CommitTicketUpdater._authname(self, changeset)

    def _notify(self, ticket, date, author, comment):
        CommitTicketUpdater._notify(self, ticket, date, self._user_of(author) or author, comment)

    # Internal methods

    def _user_of(self, author):
        match = AUTHOR.search(author or '')
        if not match or not self.env.is_enabled(TracGatewayUsers):
            return None
        return TracGatewayUsers(self.env).name_of(match.group(1))

    def _is_on(self):
        if self.commit_updater and self.env.is_enabled(CommitTicketUpdater):
            self.log.error("trac_gateway: [trac_gateway] commit_updater is true, and Trac's own"
                           " CommitTicketUpdater is enabled: that one alone is used. Set [components]"
                           " tracopt.ticket.commit_updater.committicketupdater = disabled.")
            return False
        return self.commit_updater


class TracGateway(Component):
    """Takes the user, rights, e-mail address and name of each request from trac-gateway.

    The gateway signs what it sends (header `X-Trac-Signature`) with a key that this component
    shares. A request without a valid signature is answered by 403, whatever it asks for. To set it
    up:

     1. Copy `trac_gateway.py` into the folder `plugins/` of the environment. Until then Trac knows
        nobody: its pages show Login whoever is signed in.
     2. Write `conf/trac_gateway.keys` with one line: a key id, a blank, and a random secret of 32
        characters or more without blanks (as from `openssl rand -hex 32`), both the same as in
        `upstreams.trac.signingKeys` of `gateway.yaml`. The file belongs to the user that Trac runs
        as, with mode 0600.
     3. In `trac.ini`:
        {{{
        [trac]
        permission_policies = DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy, LegacyAttachmentPolicy
        [components]
        trac.web.auth.loginmodule = disabled
        }}}
     4. Restart Trac, and let it listen on the loopback address or a private network.

    While the key file or one of these settings is missing every request is refused, and the page and
    Trac's log say which. Also good, but not necessary:

      - `[trac] request_filters = TracGateway` lets it judge a request before the filters of other
        plugins see it.
      - `trac-admin ENV permission export FILE` keeps the stored rights, and then
        `trac-admin ENV permission remove '*' '*'` clears them. They do not count here, but would again
        if this plugin were taken out.

    To change the key, add the new one as a second line, let the gateway sign
    with it, remove the old line: the file is read again when it changes.

    Nothing between the gateway and Trac may rewrite the path, the Host or the method; with Apache's
    mod_wsgi set `WSGIMapHEADToGET Off`. With several processes each remembers used nonces for
    itself. Signatures are good for a minute, so both machines need the right time.

    Several environments share one plugin, one key file and these settings: each has two lines,
    {{{
    [inherit]
    file = /srv/trac/shared/trac.ini
    plugins_dir = /srv/trac/shared/plugins
    }}}
    and the shared file also has `[components] trac_gateway.* = enabled`, the whole path of the key
    file, and `gateway_path`.
    The list of projects that `tracd -e` shows at `/` lies outside of any environment: the gateway
    shows one of its own in its place (`environments` in `gateway.yaml`).
    """

    implements(IAuthenticator, INavigationContributor, IRequestFilter)

    authenticators = ExtensionPoint(IAuthenticator)

    key_file = PathOption('trac_gateway', 'key_file', 'trac_gateway.keys',
        """File with one or two lines `kid secret`, the keys shared with the gateway; relative to
        the environment's `conf` folder. Nobody but the user that Trac runs as (and its group) may
        read it. Keys never stand in `trac.ini`, since the page `/about` shows that.""")

    host = Option('trac_gateway', 'host', '',
        """The host name (with the port, if there is one) that the gateway sends as `Host`. If set,
        requests signed for another one are refused; needed only where several Tracs share a key.""")

    write_email = BoolOption('trac_gateway', 'write_email', 'true',
        """Whether the e-mail address and full name that the gateway knows are written to the user's
        preferences, where notifications look for them. What users enter there themselves is then
        overwritten at their next request.""")

    inject_client = BoolOption('trac_gateway', 'inject_client', 'true',
        """Whether pages load the gateway's `/auth/client.js`, which renews the session before it
        ends and warns before a text in an editor could be lost. Where several environments
        are below one gateway, set `gateway_path`, too.""")

    gateway_path = Option('trac_gateway', 'gateway_path', '',
        """The base path of the gateway, where several environments are below it: the path of
        `server.publicUrl` in `gateway.yaml`, such as `/trac`, or `/`. Empty: it is the path of this
        environment. Links to pages of the gateway's own begin with it.""")

    legacy = BoolOption('trac_gateway', 'legacy', 'false',
        """For the time of a move: whether Trac's own `LoginModule` and `DefaultPermissionPolicy` may be
        there beside this plugin. They judge the requests that the gateway has marked so
        (`legacyAuth`), and no others. See `deploy/docs/guides/roll-out.md` of trac-gateway.""")

    session_attributes = ListOption('trac_gateway', 'session_attributes', '', doc=
        """What other plugins may ask the session of a user for: `cognito_username` (the user name),
        `authenticated` (`1`), `cognito_groups` (a list as JSON; `signature: v2`), `cognito_sub` (only
        where the user name is the `sub`, a UUID). Never a token.""")

    def __init__(self):
        self._read = (None, {})
        RequestIds.install(self.env)
        forget_verdicts(self.env)
        for name in self.session_attributes:
            if name not in SESSION_ATTRIBUTES:
                self.log.error('trac_gateway: [trac_gateway] session_attributes has %s, not one of %s',
                               name, ', '.join(SESSION_ATTRIBUTES))
        if (self.config.getbool('ticket', 'restrict_owner') and
                self.config.get('trac', 'permission_store') == 'DefaultPermissionStore'):
            self.log.warning('trac_gateway: [ticket] restrict_owner is true, so Trac asks its permission'
                             ' store who may own a ticket, and the groups of the gateway are not in it.'
                             ' Set [trac] permission_store = TracGatewayPermissionStore.')
        if self.legacy:
            self.log.warning("trac_gateway: [trac_gateway] legacy is true, so whoever comes by Trac's"
                             ' own login is let in as before, with the rights that Trac has stored.')

    # IAuthenticator methods

    def authenticate(self, req):
        # None for a marked request alone: no other component shall be asked who anybody else is.
        return self._verdict(req).user

    # IRequestFilter methods

    def pre_process_request(self, req, handler):
        verdict = self._verdict(req)
        if verdict.cause is not None:
            self.log.warning('trac_gateway refuses %s %r: %s', req.method, req.path_info,
                             verdict.cause)
            raise HTTPForbidden(verdict.cause)
        if verdict.user is not None and req.authname is not verdict.user:
            # Another authenticator was asked first, and knew somebody.
            self.log.error('trac_gateway refuses %s %r: another component said that it is %r',
                           req.method, req.path_info, req.authname)
            raise HTTPForbidden('Another component of Trac said who this is.')
        # Trac takes it out again when the answer becomes an error.
        req.send_header('X-Trac-Gateway', verdict.answer)
        if verdict.user is None:
            return handler
        if self.env.is_enabled(TracGatewayUsers):
            TracGatewayUsers(self.env).note(verdict)
        self._write_profile(req, verdict)
        if req.method == 'POST':
            if not self.legacy:
                self._keep_permissions(req)
            self._keep_profile(req, verdict)
        return handler

    def post_process_request(self, req, template, data, metadata):
        # A visitor has no session to renew, nor has whoever Trac itself has let in.
        if template is not None and self.inject_client and self._is_known(req):
            # Trac puts its own path before one that begins with a single slash.
            add_script(req, '/auth/client.js' if not self.gateway_path else '//%s%s' % (
                req.environ['HTTP_HOST'], self._gateway_href(req, '/auth/client.js')))
        if template == 'admin_perms.html' and not self.legacy:
            add_warning(req, PERMISSIONS_ELSEWHERE)
        elif template == 'prefs_general.html' and self._profile(self._verdict(req)):
            add_notice(req, PROFILE_ELSEWHERE)
        return template, data, metadata

    # INavigationContributor methods

    def get_active_navigation_item(self, req):
        return 'login'

    def get_navigation_items(self, req):
        if self.legacy:
            # LoginModule renders its own; beside it stands the way to the gateway's sign-in.
            if not req.is_authenticated:
                yield ('metanav', 'gateway-login',
                       tag.a(_("Sign in"), href=self._gateway_href(
                           req, '/auth/login', return_to=req.href(req.path_info))))
            return
        # As Trac's own LoginModule renders it: themes and scripts look for these ids and classes.
        if req.is_authenticated:
            yield ('metanav', 'login',
                   tag_("logged in as %(user)s",
                        user=Chrome(self.env).authorinfo(req, req.authname)))
            yield ('metanav', 'logout',
                   tag.form(
                       tag.div(
                           tag.button(_("Logout"), name='logout', type='submit'),
                           tag.input(type='hidden', name='__FORM_TOKEN', value=req.form_token)
                       ),
                       action=req.href.logout(), method='post', id='logout', class_='trac-logout'))
        else:
            yield ('metanav', 'login', tag.a(_("Login"), href=req.href.login()))

    # Internal methods

    def _gateway_href(self, req, path, **query):
        """The path of a page of the gateway's own."""
        base = Href(self.gateway_path.rstrip('/')) if self.gateway_path else req.href
        return base(path, **query)

    def _is_known(self, req):
        """Whether the gateway said who this is."""
        return req.is_authenticated and self._verdict(req).user is not None

    def _verdict(self, req):
        """Judges a request once; Trac asks for it in `authenticate` and in the request filter.

        Nothing may be raised here: Trac turns an error of an authenticator into an anonymous visitor
        or a connection without an answer. What went wrong becomes the cause of the refusal.
        """
        verdict = req.environ.get(VERDICT)
        if verdict is None:
            try:
                self._check_configuration()
                verdict = self._verify(req.environ, time.time())
                if verdict.user not in (None, u'anonymous'):
                    # Else Trac makes what an anonymous visitor set, an address too, the account's.
                    req.incookie.pop(VISITOR_COOKIE, None)
            except Refused as e:
                verdict = Verdict(GatewayUser(u'anonymous'), cause=u'%s' % e)
            except Exception as e:
                self.log.error('trac_gateway failed: %s', exception_to_unicode(e, traceback=True))
                verdict = Verdict(GatewayUser(u'anonymous'),
                                  cause=u'trac_gateway failed; the cause is in the log of Trac.')
            req.environ[VERDICT] = verdict
        requests.verdict = verdict
        return verdict

    def _check_configuration(self):
        """Refuses while anybody else could say who a user is or what they may do."""
        for other in self.authenticators:
            if other is not self and not (self.legacy and type(other) is LoginModule):
                name = '%s.%s' % (other.__class__.__module__, other.__class__.__name__)
                raise Refused('%s is enabled, so it could say who a user is. Set [components] %s ='
                              ' disabled in trac.ini.' % (name, name.lower()))
        try:
            policies = PermissionSystem(self.env).policies
        except TracError as e:
            raise Refused('[trac] permission_policies is wrong: %s' % exception_to_unicode(e))
        if not any(isinstance(policy, TracGatewayPolicy) for policy in policies):
            raise Refused('TracGatewayPolicy is not in [trac] permission_policies.')
        if not self.legacy:
            if any(isinstance(policy, DefaultPermissionPolicy) for policy in policies):
                raise Refused('DefaultPermissionPolicy is in [trac] permission_policies, so rights'
                              ' stored in the database would count. Remove it.')
            return
        kinds = (LegacyAttachmentPolicy, TracGatewayPolicy, DefaultPermissionPolicy)
        if [type(policy) for policy in policies[-3:]] != list(kinds):
            raise Refused('[trac_gateway] legacy is true, so [trac] permission_policies must end with'
                          ' %s.' % ', '.join(kind.__name__ for kind in kinds))

    def _known_keys(self):
        """The keys of the key file, read again when it changed."""
        try:
            stamp = stamp_of(os.stat(self.key_file))
        except (IOError, OSError) as e:
            raise Refused('[trac_gateway] key_file cannot be read (%s).' % e.strerror)
        if stamp != self._read[0]:
            self._read = read_keys(self.key_file)
        return self._read[1]

    def _verify(self, environ, now):
        """Accepts the signature of one request, or raises `Refused`."""
        keys = self._known_keys()
        header = wire(environ, 'HTTP_X_TRAC_SIGNATURE')
        if not header:
            raise Refused('The request has no X-Trac-Signature: this Trac is reached through its'
                          ' gateway only.')
        match = SIGNATURE.match(header)
        if not match:
            raise Refused('X-Trac-Signature is malformed or came more than once.')
        version, signed_at, expires_at, nonce, kid, signature = match.groups()
        if kid not in keys:
            raise Refused('X-Trac-Signature is made with a key that is not in the key file: its id is'
                          ' %s, and the file has %s.' % (
                              kid.decode('ascii'), b', '.join(sorted(keys)).decode('ascii')))
        method = wire(environ, 'REQUEST_METHOD')
        host = wire(environ, 'HTTP_HOST')
        script_name, path_info = wire(environ, 'SCRIPT_NAME'), wire(environ, 'PATH_INFO')
        identity = [wire(environ, 'HTTP_X_TRAC_' + part)
                    for part in ('USER', 'PERMS', 'EMAIL', 'NAME')]
        # Version 2 has two fields more; in version 1 they are not signed, so nobody looks at them.
        kind = [wire(environ, 'HTTP_X_TRAC_' + part) for part in ('GROUPS', 'KIND')]
        more = kind if version == b'2' else []
        paths = [script_name + path_info]
        if path_info == b'/':
            paths.append(script_name)  # tracd -e makes `/` of the empty path after the project
        query = wire(environ, 'QUERY_STRING')

        def fits(method, host, path):
            return hmac.compare_digest(signature, signature_of(keys[kid], signed_text(
                [b'trac-gateway-v' + version, kid, signed_at, expires_at, nonce, method, host, path,
                 query] + identity + more)))

        if not any(fits(method, host, path) for path in paths):
            raise Refused('X-Trac-Signature is not valid for this request: %s' % (
                self._other_key(environ, kid, keys[kid]) or
                self._other_target(environ, fits, method, host, paths[0]) or
                'it was signed for another path, query, host, method or user than those that arrived'
                ' (%s %s at Host %s, below the base path %s of this Trac), or with another secret: the'
                ' fingerprint of the key %s is %s here.' % (
                    shown(method), shown(paths[0]), shown(host), shown(script_name),
                    kid.decode('ascii'), fingerprint(keys[kid]))))
        signed_at, expires_at = int(signed_at), int(expires_at)
        if not signed_at <= expires_at <= signed_at + LONGEST_LIFETIME:
            raise Refused('X-Trac-Signature is valid for too long a time.')
        if now < signed_at - CLOCK_TOLERANCE:
            raise Refused('X-Trac-Signature comes from the future: the clocks of the gateway and of'
                          ' Trac differ by %d s.' % (signed_at - now))
        if now > expires_at + CLOCK_TOLERANCE:
            raise Refused('X-Trac-Signature has expired: the request came late, or the clocks of the'
                          ' gateway and of Trac differ. It was signed %d s ago.' % (now - signed_at))
        if self.host and host.lower() != self.host.lower().encode('utf-8'):
            raise Refused('The request is signed for another Host than [trac_gateway] host: for %s.'
                          % shown(host))
        if method not in (b'GET', b'HEAD') and not nonces.use(
                nonce, signed_at, expires_at + CLOCK_TOLERANCE, now):
            raise Refused('X-Trac-Signature was used before.')
        verdict = self._read_kind(more, identity) or self._read_identity(*(identity + more))
        verdict.answer = answer_to(keys[kid], kid, nonce)
        request_id = wire(environ, 'HTTP_X_REQUEST_ID')
        if REQUEST_ID.match(request_id):
            verdict.request_id = request_id.decode('ascii')
        return verdict

    def _read_kind(self, kind, identity):
        """The verdict on a request whose visitor Trac itself is to look for; None for any other."""
        if b'legacy' not in kind:
            return None
        if kind != [b'', b'legacy'] or any(identity):
            raise Refused('X-Trac-Kind is legacy, and the gateway names somebody.')
        if not self.legacy:
            raise Refused('The gateway leaves it to Trac who this is (legacyAuth), and [trac_gateway]'
                          ' legacy is not true in trac.ini. Set both, or neither.')
        return Verdict(None)

    def _other_key(self, environ, kid, secret):
        """Says so if the gateway's key of this id is another one, by what its `Via` tells."""
        told = VIA_KEY.search(wire(environ, 'HTTP_VIA'))
        if not told or told.group(1) != kid or told.group(2).decode('ascii') == fingerprint(secret):
            return None
        return ("the key's fingerprint here is %s, there %s. Copy the secret that the gateway has for"
                ' %s (upstreams.trac.signingKeys) into the key file.' % (
                    fingerprint(secret), told.group(2).decode('ascii'), kid.decode('ascii')))

    def _other_target(self, environ, fits, method, host, path):
        """Says what else the signature fits: what something on the way, or a base path, has changed."""
        base = urlsplit(self.env.config.get('trac', 'base_url')).path.rstrip('/').encode('utf-8')
        path_info = wire(environ, 'PATH_INFO')
        for other in (path_info or b'/', base + path_info, base + path):
            if fits(method, host, other):
                return ('it was signed for %s, arrived at %s. Trac must have the base path of'
                        ' server.publicUrl (tracd --base-path), and nothing on the way may change'
                        ' it.' % (shown(other), shown(path)))
        for other in (wire(environ, 'HTTP_X_FORWARDED_HOST'),
                      urlsplit(self.env.config.get('trac', 'base_url')).netloc.encode('utf-8')):
            if fits(method, other, path):
                return ('it was signed for Host %s, arrived with Host %s. Nothing between the gateway'
                        ' and Trac may change it.' % (shown(other), shown(host)))
        for other in (b'HEAD', b'GET', b'POST'):
            if fits(other, host, path):
                return ("it was signed for %s, arrived as %s. With Apache's mod_wsgi set"
                        ' WSGIMapHEADToGET Off.' % (other.decode('ascii'), shown(method)))
        return None

    def _read_identity(self, user, perms, email, name, groups=b'', kind=b''):
        """The user of a request with a valid signature; the values are as they were sent.

        They are checked again, since a mistake in the gateway must not become one in Trac.
        """
        if not ACTIONS.match(perms):
            raise Refused('X-Trac-Perms is malformed or came more than once.')
        system = PermissionSystem(self.env)
        granted = [action for action in perms.decode('ascii').split(',') if action]
        # Again here, for the meta actions of plugins, which the gateway does not know.
        grants = system.expand_actions(granted)
        if not GROUPS.match(groups) or not KIND.match(kind):
            raise Refused('X-Trac-Groups or X-Trac-Kind is malformed or came more than once.')
        groups = [decoded(group, 'X-Trac-Groups') for group in groups.split(b',') if group]
        user = decoded(user, 'X-Trac-User')
        if not user:
            return Verdict(GatewayUser(u'anonymous', grants))
        if not is_name(user) or user.upper() in system.get_actions_dict():
            raise Refused('X-Trac-User is not a name that can be used here.')
        email = decoded(email, 'X-Trac-Email')
        if len(email) > LONGEST_EMAIL or not EMAIL.match(email) or not is_printable(email):
            email = u''
        name = decoded(name, 'X-Trac-Name')
        if len(name) > LONGEST_NAME or not is_printable(name):
            name = u''
        verdict = Verdict(GatewayUser(user, grants, groups), email, name)
        verdict.kind, verdict.sent = kind.decode('ascii'), granted
        return verdict

    def _profile(self, verdict):
        """E-mail address and name of a user, as far as the gateway knows and may write them."""
        if not self.write_email:
            return {}
        known = (('email', verdict.email), ('name', verdict.name))
        return dict((key, value) for key, value in known if value)

    def _write_profile(self, req, verdict):
        """Keeps e-mail and name in the user's preferences, at once, for a notification may follow."""
        known = dict(self._profile(verdict), **self._attributes(verdict.user))
        if any(req.session.get(key) != known[key] for key in known):
            req.session.update(known)
            req.session.save()

    def _attributes(self, user):
        """What other plugins look for in a user's session, as far as they are asked for."""
        wanted = self.session_attributes
        if not wanted or user == u'anonymous':
            return {}
        known = {'cognito_username': type(u'')(user), 'authenticated': u'1',
                 'cognito_groups': type(u'')(json.dumps(sorted(user.groups)))}
        if SUBJECT.match(user):
            known['cognito_sub'] = type(u'')(user)
        return dict((name, known[name]) for name in wanted if name in known)

    def _keep_profile(self, req, verdict):
        """Saves no name or address that the next request would put back, and says so."""
        profile = self._profile(verdict)
        if req.path_info != PROFILE_PAGE or not any(
                req.args.get(key, profile[key]) != profile[key] for key in profile):
            return
        req.args.update(profile)
        add_warning(req, PROFILE_KEPT)
        if len(profile) == 2 and PROFILE_FORM.issuperset(req.args):
            # Else Trac would say "saved", too.
            req.redirect(req.href.prefs())

    def _keep_permissions(self, req):
        """Lets Trac store no grant that it would tell of, and that no policy reads."""
        page = PERMISSION_PAGE.match(req.path_info)
        if not page:
            return
        perm = req.perm('admin', 'general/perm')
        if 'PERMISSION_GRANT' not in perm and 'PERMISSION_REVOKE' not in perm:
            return
        if page.group(1) or 'TRAC_ADMIN' not in perm:
            add_warning(req, PERMISSIONS_KEPT)
            req.redirect(req.href.admin('general', 'perm'))
