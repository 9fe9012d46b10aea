# -*- coding: utf-8 -*-
"""How Trac 1.4's tests ask the gateway for pages: with their own twill, which runs no script."""

from trac.tests.functional.better_twill import b, tc


def install(functional):
    """Nothing stands between twill and the gateway."""


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
