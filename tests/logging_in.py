"""Log-ins of tests: the tokens for them, and the cookies that come of them."""

from __future__ import annotations

from urllib.parse import urlencode

from command import call
from relay_process import HTTPClient, RelayProcess, Response
from run_http import FORM


def new_token(relay: RelayProcess, name: str, *scopes: str, match: str = "") -> str:
    """Return the text of a new token for `relay`."""
    words = [f"--scope={scope}" for scope in scopes]
    words += [f"--match={match}"] if match else []
    url = f"--database.url=sqlite:///{relay.database}"
    done = call("token", "create", name, url, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def log_in(
    relay: HTTPClient, password: str, user: str = "", **headers: str
) -> Response:
    """Send the form."""
    form = urlencode({"user": user, "password": password})
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return relay.post("/login", form, {**FORM, **fields})


def set_cookie(answer: Response) -> tuple[str, list[str]]:
    """Return the cookie that an answer sets, `name=value`, and its attributes."""
    cookie, *attributes = (answer.header("Set-Cookie") or "").split("; ")
    return cookie, attributes


def session(relay: HTTPClient, password: str, user: str = "") -> dict[str, str]:
    """Return the headers that a browser sends once somebody has logged in."""
    answer = log_in(relay, password, user)
    assert answer.status == 303, answer.text
    return {"Cookie": set_cookie(answer)[0]}
