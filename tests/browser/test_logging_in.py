"""Log-in and log-out in a browser: by the keyboard, and without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import Visitor
from canned_server import Canned, CannedServer
from certificates import make_ca, make_certificate
from logging_in import new_token
from passwords import SECRET
from playwright.sync_api import Browser
from relay_process import RelayProcess, StartRelay
from tls_use import TLSRelay, client_context

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> RelayProcess:
    return start_relay("--auth.required")


@pytest.fixture(scope="module")
def token(relay: RelayProcess) -> str:
    return new_token(relay, "boss", "admin")


def test_the_keyboard_suffices(
    browser: Browser, relay: RelayProcess, token: str
) -> None:
    url = f"http://{relay.address}/"
    with Visitor(browser, java_script_enabled=False) as visitor:
        page, keyboard = visitor.page, visitor.page.keyboard
        visitor.open(url)
        assert page.url == f"{url}login"
        page.wait_for_selector("#user:focus")
        keyboard.press("Tab")
        keyboard.type("prt_wrong")
        keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert "is not known here" in visitor.text
        page.wait_for_selector("#user:focus")
        keyboard.press("Tab")
        keyboard.type(token)
        keyboard.press("Enter")
        page.wait_for_selector("text=You are the token")
        assert page.url == url
        for _ in range(20):
            if page.locator("button:focus:has-text('Log out')").count():
                break
            keyboard.press("Tab")
        keyboard.press("Enter")
        page.wait_for_selector(".login")
        assert visitor.context.cookies() == []
        visitor.open(url)
        assert page.url == f"{url}login"
        assert visitor.complaints == []


def log_in(visitor: Visitor, relay: RelayProcess, token: str) -> None:
    visitor.open(f"http://{relay.address}/")
    visitor.page.fill("#password", token)
    visitor.page.press("#password", "Enter")
    visitor.page.wait_for_selector("text=You are the token")


def test_no_script_and_no_other_site_has_the_cookie(
    browser: Browser, relay: RelayProcess, token: str
) -> None:
    with Visitor(browser) as visitor:
        log_in(visitor, relay, token)
        [cookie] = visitor.context.cookies()
        assert cookie["name"] == "pushrelay"
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert (cookie["domain"], cookie["path"]) == ("127.0.0.1", "/")
        assert visitor.page.evaluate("document.cookie") == ""
        # Nothing of it is kept for who comes after, either.
        visitor.page.click("text=Log out")
        visitor.page.wait_for_selector(".login")
        visitor.page.go_back()
        visitor.page.wait_for_selector(".login")


def test_a_link_from_elsewhere_finds_the_session(
    browser: Browser, relay: RelayProcess, token: str
) -> None:
    link = f'<a href="http://{relay.address}/?search=kept">here</a>'
    chat = Canned(200, link.encode(), {"Content-Type": "text/html"})
    with CannedServer(lambda _: chat) as server, Visitor(browser) as visitor:
        log_in(visitor, relay, token)
        visitor.open(server.url.replace("127.0.0.1", "localhost"))
        visitor.page.click("text=here")
        visitor.page.wait_for_selector("text=You are the token")
        assert visitor.page.url.endswith("/?search=kept")


def test_by_tls_the_cookie_is_the_hosts_own(browser: Browser, tmp_path: Path) -> None:
    ca = make_ca(tmp_path)
    own = make_certificate(ca, "server", "DNS:localhost")
    text = (
        f"tls_server_config:\n  cert_file: {own.certificate}\n  key_file: {own.key}\n"
        f"basic_auth_users:\n  alice: {SECRET}\n"
    )
    relay = TLSRelay(tmp_path, text, client_context(ca), user="alice:secret")
    url = f"https://localhost:{relay.port}/"
    with relay, Visitor(browser, ignore_https_errors=True) as visitor:
        visitor.open(url)
        visitor.page.fill("#user", "alice")
        visitor.page.fill("#password", "secret")
        visitor.page.press("#password", "Enter")
        visitor.page.wait_for_selector("text=You are the user")
        [cookie] = visitor.context.cookies()
        assert cookie["name"] == "__Host-pushrelay"
        assert (cookie["secure"], cookie["httpOnly"]) == (True, True)
        assert visitor.complaints == []
