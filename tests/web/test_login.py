"""Log-in, log-out and what sessions give."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from logging_in import log_in, new_token, session, set_cookie
from passwords import NEW, SECRET
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import FORM
from waiting import wait_until

from pushrelay.web.failures import BURST
from pushrelay.web.login import FORM_BYTES

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


TOKENS = {
    "boss": (["admin"], ""),
    "reader": (["read"], 'job=~"backup-.*"'),
    "pusher": (["push"], ""),
    "both": (["read", "push", "scrape"], ""),
    "bound": (["admin"], 'job="report"'),
}
texts: dict[str, str] = {}
"""Of these tokens."""


@pytest.fixture(scope="module")
def closed(start_relay: StartRelay) -> RelayProcess:
    """A relay that asks everybody, behind a proxy."""
    relay = start_relay(
        "--auth.required",
        "--web.enable-admin-api",
        "--web.trusted-proxies=127.0.0.1",
    )
    for name, (scopes, match) in TOKENS.items():
        texts[name] = new_token(relay, name, *scopes, match=match)
    fields = bearer("boss")
    for job in ("backup-a", "backup-b", "report"):
        assert relay.put(f"/metrics/job/{job}", "x 1\n", fields).status == 200
    return relay


@pytest.fixture(scope="module")
def admin(closed: RelayProcess) -> str:
    return texts["boss"]


@pytest.fixture(scope="module")
def cookie(closed: RelayProcess, admin: str) -> dict[str, str]:
    """What browsers send in a session that lasts."""
    return session(closed, admin)


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {texts[name]}"}


def from_(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def test_a_browser_is_shown_the_form_instead_of_the_page(closed: RelayProcess) -> None:
    for path in ("/", "/status?search=x"):
        answer = closed.get(path, HTML)
        assert (answer.status, answer.header("Location")) == (303, "./login")
        assert answer.header("Cache-Control") == "no-store"
    form = closed.get("/login", HTML)
    assert (form.status, form.header("Content-Type")) == (
        200,
        "text/html; charset=utf-8",
    )
    assert '<form class="login" method="post" action="./login">' in form.text
    assert "frame-ancestors 'none'" in (form.header("Content-Security-Policy") or "")
    assert form.header("Referrer-Policy") == "same-origin"
    assert "Log out" not in form.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/", {}),
        ("/", {"Accept": "*/*"}),
        ("/", {**HTML, "Authorization": "Bearer wrong"}),
        ("/metrics", HTML),
        ("/api/v1/status", HTML),
        ("/nowhere", HTML),
    ],
)
def test_others_are_told_401(
    closed: RelayProcess, path: str, fields: dict[str, str]
) -> None:
    answer = closed.get(path, {**fields, **from_("192.0.2.1")})
    assert answer.status == 401
    assert [n for n, _ in answer.headers if n == "WWW-Authenticate"]


def test_who_comes_from_elsewhere_asks_once_more_as_our_page(
    closed: RelayProcess, cookie: dict[str, str]
) -> None:
    link = {**HTML, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    answer = closed.get("/", link)
    assert answer.status == 200
    assert '<meta http-equiv="refresh" content="0">' in answer.text
    own = {**link, "Sec-Fetch-Site": "same-origin"}
    assert closed.get("/", own).header("Location") == "./login"
    assert closed.get("/", {**own, **cookie}).status == 200


def test_a_token_logs_in_and_out(closed: RelayProcess, admin: str) -> None:
    # Nobody can have people sent elsewhere by a link to the form.
    assert "evil" not in closed.get("/login?next=https://evil.example/").text
    form = urlencode({"next": "//evil.example", "password": f" {admin}\n"})
    answer = closed.post("/login?next=//evil.example", form, FORM)
    assert (answer.status, answer.header("Location")) == (303, "./")
    cookie, attributes = set_cookie(answer)
    assert sorted(attributes) == [
        *("HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict")
    ]
    assert cookie.startswith("pushrelay=prt_")
    assert admin not in cookie
    fields = {"Cookie": f"other=1; {cookie}; last=x"}
    page = closed.get("/", {**HTML, **fields})
    assert page.status == 200
    assert "You are the token &#34;boss&#34;" in page.text
    assert "Log out" in closed.get("/login", {**HTML, **fields}).text
    answer = closed.post("/logout", "", fields)
    assert (answer.status, answer.header("Location")) == (303, "./login")
    assert set_cookie(answer)[0] == "pushrelay="
    assert "Max-Age=0" in set_cookie(answer)[1]
    assert closed.get("/", {**HTML, **fields}).status == 303
    assert closed.get("/metrics", fields).status == 401


def test_a_session_gives_what_its_token_gives(closed: RelayProcess) -> None:
    fields = session(closed, texts["reader"])
    for path in ("/", "/groups"):
        page = closed.get(path, fields)
        assert "backup-a" in page.text
        assert "report" not in page.text
        for hidden in ("Delete chosen groups", "Delete all groups", "Metrics</a>"):
            assert hidden not in page.text
    assert closed.get("/metrics", fields).status == 403
    assert (
        closed.request("DELETE", "/metrics/job/backup-a", headers=fields).status == 403
    )


def test_the_page_offers_what_its_visitor_may_do(closed: RelayProcess) -> None:
    page = closed.get("/groups", bearer("both")).text
    assert "You are the token &#34;both&#34;" in page
    assert "Log out" not in page
    assert "Delete chosen groups" in page
    assert "Metrics</a>" in page
    assert "Delete all groups" not in page
    assert "Delete all groups" in closed.get("/groups", bearer("boss")).text
    page = closed.get("/groups", bearer("bound")).text
    assert "Delete chosen groups" in page
    assert "Delete all groups" not in page


def test_the_page_needs_a_token_that_may_read(closed: RelayProcess) -> None:
    answer = log_in(closed, texts["pusher"])
    assert answer.status == 403
    assert answer.header("Set-Cookie") is None
    assert "the token &#34;pusher&#34; may not read" in answer.text


def test_who_is_wrong_is_shown_the_form_again(closed: RelayProcess) -> None:
    answer = log_in(closed, "wrong", '"><script>', **from_("192.0.2.2"))
    assert answer.status == 401
    assert "is not known here" in answer.text
    assert 'value="&#34;&gt;&lt;script&gt;"' in answer.text
    challenges = [v for n, v in answer.headers if n == "WWW-Authenticate"]
    assert challenges == ['Bearer realm="pushrelay"']
    assert "refused to log in" in closed.log
    assert "wrong" not in closed.log


def test_wrong_ones_count_as_they_do_everywhere(closed: RelayProcess) -> None:
    address = from_("192.0.2.3")
    for _ in range(BURST):
        assert log_in(closed, "wrong", **address).status == 401
    refused = log_in(closed, "wrong", **address)
    assert refused.status == 429
    assert int(refused.header("Retry-After") or 0) > 0
    assert "try again in" in refused.text
    wrong = {"Authorization": "Bearer wrong"}
    assert closed.get("/metrics", {**wrong, **address}).status == 429
    assert closed.get("/metrics", {**bearer("boss"), **address}).status == 200


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        ("", FORM, 401),
        ("user=a", FORM, 401),
        ("password=a&password=b", FORM, 400),
        ("password=a", {}, 400),
        ("password=a", {"Content-Type": "text/plain"}, 400),
        ("password=" + "a" * FORM_BYTES, FORM, 413),
        ("password=%ff%00", FORM, 401),
        ("password=x", {**FORM, "Accept": "application/json"}, 401),
    ],
)
def test_what_is_not_the_form_is_refused(
    closed: RelayProcess, body: str, fields: dict[str, str], status: int
) -> None:
    answer = closed.post("/login", body, {**fields, **from_("192.0.2.4")})
    assert answer.status == status
    assert answer.header("Set-Cookie") is None


def test_the_text_of_a_session_is_no_token(
    closed: RelayProcess, admin: str, cookie: dict[str, str]
) -> None:
    text = cookie["Cookie"].partition("=")[2]
    fields = {"Authorization": f"Bearer {text}", **from_("192.0.2.5")}
    assert closed.get("/metrics", fields).status == 401
    assert log_in(closed, text, **from_("192.0.2.5")).status == 401
    assert closed.get("/metrics", {"Cookie": f"pushrelay={admin}"}).status == 401


@pytest.mark.parametrize(
    "cookie", ["", "pushrelay", "pushrelay=", "=", ";;", "a" * 9000]
)
def test_other_cookies_are_nobodys(closed: RelayProcess, cookie: str) -> None:
    assert closed.get("/metrics", {"Cookie": cookie}).status == 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "image"}, 401),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"}, 401),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}, 401),
        ({"Origin": "https://evil.example"}, 401),
    ],
)
def test_what_other_pages_load_has_no_session(
    closed: RelayProcess, cookie: dict[str, str], fields: dict[str, str], status: int
) -> None:
    assert closed.get("/metrics", {**cookie, **fields}).status == status


def test_no_browser_asks_for_a_password_for_a_part_of_a_page(
    closed: RelayProcess,
) -> None:
    for part, challenges in (("document", 2), ("image", 1), ("empty", 1)):
        answer = closed.get("/metrics", {"Sec-Fetch-Dest": part})
        assert answer.status == 401
        names = [name for name, _ in answer.headers]
        assert names.count("WWW-Authenticate") == challenges


def test_other_pages_log_nobody_in_or_out(
    closed: RelayProcess, admin: str, cookie: dict[str, str]
) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert log_in(closed, admin, **foreign).status == 403
    assert closed.post("/logout", "", {**cookie, **foreign}).status == 403
    assert closed.get("/metrics", cookie).status == 200


def test_by_tls_the_cookie_is_the_hosts_own(closed: RelayProcess, admin: str) -> None:
    by_tls = {"X-Forwarded-Proto": "https"}
    cookie, attributes = set_cookie(log_in(closed, admin, **by_tls))
    assert cookie.startswith("__Host-pushrelay=prt_")
    assert {"Secure", "Path=/"} <= set(attributes)
    assert closed.get("/metrics", {"Cookie": cookie, **by_tls}).status == 200
    # Another host of the domain could have set this one.
    plain = {"Cookie": cookie.removeprefix("__Host-"), **by_tls}
    assert closed.get("/metrics", plain).status == 401


def test_below_a_prefix_the_cookie_is_for_what_is_there(
    start_relay: StartRelay,
) -> None:
    relay = start_relay(
        "--auth.required",
        "--web.external-url=https://relay.example/push/",
        ready="/push/-/ready",
    )
    form = "user=&password=" + new_token(relay, "reader", "read")
    own = {**FORM, "Origin": "https://relay.example"}
    answer = relay.post("/push/login", form, own)
    assert answer.header("Location") == "./"
    cookie, attributes = set_cookie(answer)
    assert cookie.startswith("__Secure-pushrelay=prt_")
    assert {"Secure", "Path=/push"} <= set(attributes)
    assert relay.get("/push/", {"Cookie": cookie}).status == 200


def users_file(path: Path, *users: str, hashed: str = SECRET) -> None:
    """Write a web configuration file with users who have the password of `hashed`."""
    lines = [f"  {user}: {hashed}" for user in (*users, "other")]
    path.write_text("\n".join(["basic_auth_users:", *lines, ""]))


def test_a_user_logs_in_and_stays_as_long_as_there_is_such_a_user(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    users_file(file, "alice")
    relay = start_relay(f"--web.config.file={file}", "--auth.anonymous=health")
    assert log_in(relay, "wrong", "alice").status == 401
    assert log_in(relay, "secret", "bob").status == 401
    cookie = session(relay, "secret", "alice")
    page = relay.get("/", {**HTML, **cookie})
    assert "You are the user &#34;alice&#34;" in page.text
    assert relay.put("/metrics/job/x", "x 1\n", cookie).status == 200
    users_file(file, "bob")
    wait_until(lambda: relay.get("/", {**HTML, **cookie}).status == 303)
    assert relay.put("/metrics/job/x", "x 1\n", cookie).status == 401
    assert log_in(relay, "secret", "bob").status == 303


def test_a_new_password_ends_the_sessions_that_the_old_one_began(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    users_file(file, "alice")
    relay = start_relay(f"--web.config.file={file}", "--auth.anonymous=health")
    cookie = session(relay, "secret", "alice")
    assert relay.get("/", {**HTML, **cookie}).status == 200
    users_file(file, "alice", hashed=NEW)
    wait_until(lambda: relay.get("/", {**HTML, **cookie}).status == 303)
    again = session(relay, "new", "alice")
    assert relay.get("/", {**HTML, **again}).status == 200


def test_with_an_open_door_the_page_offers_the_form(start_relay: StartRelay) -> None:
    relay = start_relay("--auth.required", "--auth.anonymous=read")
    page = relay.get("/", HTML)
    assert page.status == 200
    assert '<a href="./login">Log in</a>' in page.text


def test_where_nobody_is_asked_there_is_nothing_to_log_in_to(
    relay: HTTPClient,
) -> None:
    assert relay.get("/login").header("Location") == "./"
    answer = log_in(relay, "x")
    assert (answer.status, answer.header("Location")) == (303, "./")
    assert answer.header("Set-Cookie") is None
    page = relay.get("/").text
    assert "Log in" not in page
    assert "Log out" not in page
    assert "You are" not in page
