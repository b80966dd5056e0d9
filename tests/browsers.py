"""Debian's Chromium, driven by Playwright, and what it complains of."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, sync_playwright

CHROMIUM = shutil.which("chromium")

_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # Names of hosts that are no loopback to the browser.
    "--host-resolver-rules=MAP *.example 127.0.0.1",
)

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (violation) => {
  console.error(`against the policy: ${violation.violatedDirective}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Have a browser; skip the test if there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(_ARGUMENTS)
        )
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody with a browser profile of their own, and one page.

    complaints: what the browser said of its pages so far: dialogs, errors of scripts,
    all that is in the console, but not that an answer was an error.
    """

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(30_000)
        self.context.add_init_script(_REPORT_VIOLATIONS)
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self._note(str(error.error)))
        self.context.on("dialog", self._answer)

    def open(self, url: str) -> None:
        """Go to `url`, until all of it is there."""
        self.page.goto(url, wait_until="load")

    @property
    def text(self) -> str:
        """What the page says to a person."""
        return self.page.inner_text("body")

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Let the browser go on until `holds` is true."""
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, self.complaints
            self.page.wait_for_timeout(20)

    def _hear(self, message: ConsoleMessage) -> None:
        if not message.text.startswith("Failed to load resource"):
            self._note(message.text)

    def _answer(self, dialog: Dialog) -> None:
        self._note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, complaint: str) -> None:
        self.complaints.append(complaint)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()
