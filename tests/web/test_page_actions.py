"""What the forms of pages do, and to whom."""

from __future__ import annotations

import time

import pytest
from logging_in import new_token
from page_forms import BROWSER, chosen, fields_of, said, shown, submit
from relay_process import HTTPClient, RelayProcess, StartRelay
from run_http import finish, job_of, jobs_of, report, runs_of
from waiting import wait_until

A = {"job": "a"}
AI = {"job": "a", "instance": "i/é"}
B = {"job": "b"}
PATHS = {(): "/metrics/job/a", ("i",): "/metrics/job/a/instance@base64/aS_DqQ"}


@pytest.fixture
def filled(relay: HTTPClient) -> HTTPClient:
    """A relay with three groups, of two jobs, and runs of both."""
    for path in (*PATHS.values(), "/metrics/job/b"):
        assert relay.put(path, "x 1\ny 2\n").status == 200
    report(relay, finish("a"))
    report(relay, finish("b"))
    relay.put("/api/v1/jobs/a/expectation", '{"every": "1h"}')
    return relay


def test_chosen_groups_are_deleted_and_nothing_else(filled: HTTPClient) -> None:
    page = shown(filled, chosen(A, AI))
    assert len(filled.groups()) == 3  # so far, nothing was done
    answer = submit(filled, "/delete", fields_of(page, "./delete"))
    assert said(filled, answer) == "Deleted 2 groups."
    assert filled.grouping_keys() == [B]
    assert job_of(filled, "a")["state"] == "ok"
    assert {run["job"] for run in runs_of(filled)["runs"]} == {"a", "b"}


def test_a_group_that_changed_since_it_was_shown_is_spared(filled: HTTPClient) -> None:
    fields = fields_of(shown(filled, chosen(A, B)), "./delete")
    assert filled.put("/metrics/job/a", "x 2\n").status == 200
    assert said(filled, submit(filled, "/delete", fields)) == (
        "Deleted 1 group. 1 group changed after you were shown what would be lost, and "
        "is still here."
    )
    assert filled.grouping_keys() == [AI, A]
    # Shown again, it is what it is now.
    fields = fields_of(shown(filled, chosen(A)), "./delete")
    assert said(filled, submit(filled, "/delete", fields)) == "Deleted 1 group."
    assert filled.grouping_keys() == [AI]


def test_a_group_that_somebody_else_deleted_is_told_of(filled: HTTPClient) -> None:
    fields = fields_of(shown(filled, chosen(A, B)), "./delete")
    filled.delete("/metrics/job/b")
    told = said(filled, submit(filled, "/delete", fields))
    assert told == "Deleted 1 group. 1 group had gone before."
    assert filled.grouping_keys() == [AI]


def test_the_list_is_shown_again_as_it_was(filled: HTTPClient) -> None:
    page = shown(filled, chosen(B, search="{job}", sort="-pushed", state="fresh"))
    answer = submit(filled, "/delete", fields_of(page, "./delete"))
    assert answer.header("Location") == (
        "./groups?search=%7Bjob%7D&state=fresh&sort=-pushed&done=deleted&count=1"
    )


def test_a_job_is_retired_with_all_that_is_known_of_it(filled: HTTPClient) -> None:
    page = shown(filled, "/retire?job=a")
    assert (len(filled.groups()), jobs_of(filled)) == (3, ["a", "b"])
    answer = submit(filled, "/retire", fields_of(page, "./retire"))
    assert said(filled, answer) == "The job is retired, and 2 groups with it."
    assert filled.grouping_keys() == [B]
    assert jobs_of(filled) == ["b"]


@pytest.mark.parametrize(
    ("until", "seconds"), [("1h", 3600), ("1w", 604_800), (" 36h ", 36 * 3600)]
)
def test_a_job_is_paused_and_resumed(
    filled: HTTPClient, until: str, seconds: int
) -> None:
    fields = fields_of(shown(filled, "/pause?job=a"), "./pause")
    paused = submit(filled, "/pause", [*fields, ("until", until)])
    assert paused.header("Location") == "./job?job=a&done=paused"
    job = job_of(filled, "a")
    assert job["state"] == "paused"
    assert job["paused_until"] == pytest.approx(time.time() + seconds, abs=30)
    fields = fields_of(shown(filled, "/pause?job=a"), "./resume")
    resumed = submit(filled, "/resume", fields)
    assert resumed.header("Location") == "./job?job=a&done=resumed"
    assert job_of(filled, "a")["paused_until"] is None


@pytest.mark.parametrize("until", ["", "soon", "0", "2020-01-01T00:00:00Z", "11y"])
def test_a_pause_without_a_good_end_is_asked_for_again(
    filled: HTTPClient, until: str
) -> None:
    answer = submit(filled, "/pause", [("job", "a"), ("until", until)])
    assert answer.header("Location") == "./pause?job=a&problem=until"
    assert "It is not paused" in shown(filled, "/pause?job=a&problem=until")
    assert job_of(filled, "a")["state"] == "ok"


def test_all_goes_for_who_types_it(filled: HTTPClient) -> None:
    for typed in ("", "yes"):
        answer = submit(filled, "/wipe", [("confirm", typed)])
        assert answer.header("Location") == "./wipe?problem=confirm"
    assert "Nothing was deleted" in shown(filled, "/wipe?problem=confirm")
    assert len(filled.groups()) == 3
    answer = submit(filled, "/wipe", [("confirm", " All ")])
    assert said(filled, answer) == "All groups and runs are deleted."
    assert (filled.groups(), jobs_of(filled)) == ([], [])


FORMS = {
    "/delete": [("key", "am9i_2H-"), ("revision", "99999")],
    "/retire": [("job", "a")],
    "/pause": [("job", "a"), ("until", "1h")],
    "/resume": [("job", "a")],
    "/wipe": [("confirm", "all")],
}


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_can_send_no_form(
    filled: HTTPClient, path: str, header: dict[str, str]
) -> None:
    answer = submit(filled, path, FORMS[path], **header)
    assert answer.status == 403
    assert "a page of another origin" in answer.text
    assert len(filled.groups()) == 3
    assert job_of(filled, "a")["state"] == "ok"


@pytest.mark.parametrize("path", FORMS)
def test_an_address_that_is_followed_changes_nothing(
    filled: HTTPClient, path: str
) -> None:
    query = "&".join(f"{name}={value}" for name, value in FORMS[path])
    answer = filled.get(f"{path}?{query}", BROWSER)
    assert answer.status == (405 if path == "/resume" else 200)
    assert len(filled.groups()) == 3
    assert job_of(filled, "a")["state"] == "ok"


@pytest.mark.parametrize(
    ("path", "fields", "status", "text"),
    [
        ("/delete", [("key", "x"), ("revision", "1")], 400, "is none of a group"),
        ("/delete", [("key", "am9i_2H-")], 400, "which state of the groups"),
        ("/delete", [("revision", "-1")], 400, "which state of the groups"),
        ("/delete", [("revision", "1"), ("state", "x")], 400, "write fresh or stale"),
        ("/retire", [], 400, "names no job"),
        ("/pause", [("job", "none"), ("until", "1h")], 404, "nothing is known"),
        ("/resume", [("job", "none")], 404, "nothing is known"),
        ("/delete", [("key", "x" * 2**20)], 413, "larger than the limit"),
    ],
)
def test_a_form_that_cannot_be_done_leads_to_a_page_that_says_why(
    filled: HTTPClient,
    path: str,
    fields: list[tuple[str, str]],
    status: int,
    text: str,
) -> None:
    answer = submit(filled, path, fields)
    assert answer.status == status
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in (answer.header("Content-Security-Policy") or "")
    assert text in answer.text
    assert len(filled.groups()) == 3


def test_other_clients_are_told_in_their_way(filled: HTTPClient) -> None:
    answer = filled.post("/retire", b"{}", {"Content-Type": "application/json"})
    assert answer.status == 400
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert "Other clients use the API" in answer.text


def test_there_is_no_form_for_all_without_the_admin_api(
    start_relay: StartRelay,
) -> None:
    relay = start_relay()
    assert relay.get("/wipe").status == 404
    assert submit(relay, "/wipe", [("confirm", "all")]).status == 404


@pytest.fixture(scope="module")
def closed(start_relay: StartRelay) -> RelayProcess:
    return start_relay("--auth.required", "--web.enable-admin-api")


def test_who_is_for_some_groups_deletes_those_and_no_others(
    closed: RelayProcess,
) -> None:
    boss = {"Authorization": f"Bearer {new_token(closed, 'boss', 'admin')}"}
    scopes = ("read", "push")
    token = new_token(closed, "bound", *scopes, match='{job="a"}')
    bound = {"Authorization": f"Bearer {token}"}
    for job in "ab":
        closed.put(f"/metrics/job/{job}", "x 1\n", boss)
    # Whether there is such a group makes no difference.
    for other in (B, {"job": "c"}):
        assert closed.get(chosen(A, other), bound).status == 403
        fields = fields_of(shown(closed, chosen(A, other), **boss), "./delete")
        fields += [("key", "am9i_2P-")] if other != B else []
        answer = submit(closed, "/delete", fields, **bound)
        assert answer.status == 403
        assert "and not for {job=" in answer.text.replace("&#34;", '"')
    fields = fields_of(shown(closed, chosen(A), **bound), "./delete")
    answer = submit(closed, "/delete", fields, **bound)
    assert said(closed, answer, **bound) == "Deleted 1 group."
    assert '"job":"b"' in closed.get("/api/v1/metrics", boss).text


def test_what_was_done_is_in_the_log(closed: RelayProcess) -> None:
    boss = {"Authorization": f"Bearer {new_token(closed, 'chief', 'admin')}"}
    closed.put("/metrics/job/logged", "x 1\n", boss)
    address = chosen({"job": "logged"})
    fields = fields_of(shown(closed, address, **boss), "./delete")
    submit(closed, "/delete", fields, **boss)

    def lines(*parts: str) -> list[str]:
        told = [line for line in closed.log.splitlines() if "logged" in line]
        return [line for line in told if all(part in line for part in parts)]

    # The last one comes after the answer.
    wait_until(lambda: lines("msg=write", "POST") != [])
    [done] = lines('msg="deleted groups"')
    assert "token=chief" in done
    assert "count=1" in done
    [written] = lines("msg=write", "POST")
    assert "status=303" in written
