"""Forms of pages: read from a page, and sent as browsers do."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

from builders import key_of
from relay_process import HTTPClient, Response
from run_http import FORM

from pushrelay.web.pages.keys import written_key

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

Fields = list[tuple[str, str]]


def chosen(*keys: dict[str, str], **others: str) -> str:
    """Return the address of the page that asks whether to delete these groups."""
    fields = [("key", written_key(key_of(**key))) for key in keys]
    return f"/delete?{urlencode([*fields, *others.items()])}"


def shown(relay: HTTPClient, target: str, **headers: str) -> str:
    """Return a page, which must be there."""
    answer = relay.get(target, {**BROWSER, **headers})
    assert answer.status == 200, answer.text
    return answer.text


def fields_of(page: str, action: str) -> Fields:
    """Return the hidden fields of the first form on `page` that goes to `action`."""
    form = page[page.index(f'action="{action}"') :].partition("</form>")[0]
    found = re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', form)
    return [(name, unescape(value)) for name, value in found]


def submit(relay: HTTPClient, path: str, fields: Fields, **headers: str) -> Response:
    """Send a form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return relay.post(path, urlencode(fields), {**BROWSER, **FORM, **named})


def said(relay: HTTPClient, answer: Response, **headers: str) -> str:
    """Return what the page says to which a form led."""
    assert answer.status == 303, answer.text
    location = answer.header("Location") or ""
    assert location.startswith("./")
    page = shown(relay, location[1:], **headers)
    [message] = re.findall('<p class="notice done" role="status">(.*)</p>', page)
    return unescape(message)
