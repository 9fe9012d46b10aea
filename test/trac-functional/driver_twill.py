# -*- coding: utf-8 -*-
"""How Trac 1.4's tests ask for pages: the suite's own twill, a browser without script, at the gateway's public address."""

from trac.tests.functional.better_twill import b, tc


def install(functional):
    """Nothing stands between twill and the gateway."""
    # A browser names the origin of a form's page with the form; twill names none.
    origin = 'http://127.0.0.1:%s' % __import__('os').environ['TRAC_TEST_PORT']
    b._browser.addheaders += [('Origin', origin)]


def sign_in(url, address, password):
    tc.go(url)
    tc.formvalue('1', 'email', address)
    tc.formvalue('1', 'password', native(password))
    tc.submit()


def sign_out():
    tc.submit('logout', 'logout')


def is_at(url):
    tc.url(url)


def page():
    return b.get_html()


def native(value):
    return value.encode('utf-8') if isinstance(value, type(u'')) else value
