# -*- coding: utf-8 -*-
"""How Trac 1.6's tests ask the gateway for pages: with Chromium, where the suite has Firefox."""

import functools
import http.client
import os
import shutil

from selenium import webdriver
from selenium.webdriver.common.by import By
from trac.tests.functional import better_twill
from trac.tests.functional.better_twill import tc

GATEWAY_PORT = int(os.environ['TRAC_FUNCTIONAL_GATEWAY_PORT'])
TRAC_PORT = int(os.environ['TRAC_FUNCTIONAL_TRAC_PORT'])

# Chromium as root, without anything that it would do by itself.
ARGUMENTS = (
    '--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync'
    ' --disable-background-networking --disable-component-update --lang=en-US'
    ' --window-size=1280,2048').split()


class RawConnection(http.client.HTTPConnection):
    """One that sends the target as it came, whatever its bytes are."""

    def _encode_request(self, request):
        return request.encode('latin-1')

    def _validate_path(self, url):
        pass


class Recorder(better_twill.ReverseProxyServer):
    """The suite's own, before the gateway: it keeps each answer as it came, for the tests."""

    def get_connection(self):
        conn = RawConnection('127.0.0.1', self.proxy_port)
        conn.connect()
        return conn


class RecorderRequest(better_twill.ReverseProxyRequestHandler):
    """One answer a connection. Firefox reads chunks in an answer of HTTP/1.0, Chromium does not."""

    protocol_version = 'HTTP/1.1'

    def parse_request(self):
        is_whole = super().parse_request()
        if is_whole:
            # The suite looks at the text of an answer, which the gateway would compress.
            del self.headers['Accept-Encoding']
        return is_whole

    def send_header(self, keyword, value):
        if keyword.lower() not in ('connection', 'keep-alive'):
            super().send_header(keyword, value)

    def end_headers(self):
        super().send_header('Connection', 'close')
        super().end_headers()


class Browser(better_twill.Proxy):

    runs_script = True

    def _create_proxy_server(self, port, proxy_port):
        folder = os.path.join(self.tmpdir, 'response')
        os.mkdir(folder)
        return Recorder(('127.0.0.1', port), RecorderRequest, proxy_port=GATEWAY_PORT,
                        response_dir=folder)

    def _create_webdriver(self):
        options = webdriver.ChromeOptions()
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.add_experimental_option('prefs', {'intl.accept_languages': 'en-us'})
        options.binary_location = shutil.which('chromium')
        service = webdriver.ChromeService(executable_path=shutil.which('chromedriver'))
        return webdriver.Chrome(options=options, service=service)

    @property
    def _javascript_enabled(self):
        """Whether to wait until jQuery is ready: pages of the gateway's own have none."""
        return self.runs_script and not self.driver.execute_script(
            "return document.readyState === 'complete'"
            " && document.querySelector('script[src*=\"/jquery.js\"]') === null")

    @_javascript_enabled.setter
    def _javascript_enabled(self, value):
        self.runs_script = value

    def set_prefs(self, values):
        """The one preference of Firefox that the tests set: whether pages run script."""
        enabled = values['javascript.enabled']
        self.driver.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': not enabled})
        return {'javascript.enabled': not enabled}

    def _save_screenshot(self, filename):
        self.driver.save_screenshot(filename)


def install(functional):
    """Puts all of this in the suite's place. Its tests have the one browser object already."""
    tc.__class__ = Browser
    functional.get_ephemeral_port = lambda: TRAC_PORT


def sign_in(url, address, password):
    driver = tc.driver
    driver.get(url)
    driver.find_element(By.ID, 'email').send_keys(address)
    driver.find_element(By.ID, 'password').send_keys(password)
    with tc._wait_for_page_load():
        driver.find_element(By.ID, 'submit').click()


def sign_out():
    tc._find_field('logout', 'logout').click()
    tc.wait_for(lambda: '/auth/signed-out' in tc.get_url(), timeout=10)


def is_at(url):
    tc.url(url, regexp=False)


def page():
    return tc.get_source()


def native(value):
    return value
