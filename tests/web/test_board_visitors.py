"""The jobs board for who has nothing yet, and for who may not see all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from board_markup import BoardPage, board_of, read_board, text_of
from guarded import Guarded, guarded
from in_process import InProcessRelay
from logging_in import new_token
from relay_process import REPOSITORY, Response, StartRelay
from relay_use import Clock, on_loop

from pushrelay.rights import Right

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


@pytest.fixture
def nothing(tmp_path: Path) -> Iterator[InProcessRelay]:
    with InProcessRelay(tmp_path, Clock()) as relay:
        yield relay


def test_an_empty_relay_says_how_to_begin(nothing: InProcessRelay) -> None:
    page = board_of(nothing)
    assert page.rows == []
    assert "There is no job here yet" in page.html
    commands = [text_of(each) for each in re.findall(r"<pre.*?</pre>", page.html)]
    assert commands == [
        "echo 'example_rows 42' | curl --data-binary @- "
        "http://relay/metrics/job/example",
        "pushrelay exec --url http://relay --job example -- sleep 1",
    ]


@pytest.mark.system
@needs_curl
def test_what_it_says_works_as_it_stands(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    relay = start_relay(
        "--auth.required", "--web.route-prefix=/in", ready="/in/-/ready"
    )
    token = new_token(relay, "boss", "admin")
    fields = {"Authorization": f"Bearer {token}"}
    html = relay.get("/in/", fields).text
    commands = [unescape(each) for each in re.findall(r"<pre.*?>(.*?)</pre>", html)]
    assert commands[0].startswith("export PUSHRELAY_TOKEN=")
    program = tmp_path / "pushrelay"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pushrelay "$@"\n')
    program.chmod(0o700)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "PUSHRELAY_TOKEN": token,
    }
    for command in commands[1:]:
        subprocess.run(["sh", "-c", command], env=environment, check=True)
    page = read_board(relay.get("/in/", fields))
    pushed, run = sorted(page.rows, key=lambda row: row.name)
    assert pushed.last_run.startswith("pushed ")
    assert run.last_run.startswith("succeeded ")


# --- rights ---


@on_loop
async def test_a_bound_token_sees_its_rows_and_learns_of_no_others(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as relay:
        admin = await relay.token(Right.ADMIN)
        for job in ("backup-a", "backup-b", "secret"):
            target = f"/metrics/job/{job}/instance/db1"
            assert (await relay.ask("PUT", target, admin, b"x 1\n")).status == 200
        assert (await board(relay, admin)).counts["all"] == 3
        reader = await relay.token(Right.READ, match='{job=~"backup-.*"}')
        page = await board(relay, reader)
        assert page.names == ["backup-a db1", "backup-b db1"]
        assert page.counts["all"] == page.counts["ok"] == 2
        assert "secret" not in page.html
        other = await relay.token(Right.READ, match='{job="other"}')
        page = await board(relay, other)
        assert "There is no job here yet" in page.html
        assert "export PUSHRELAY_TOKEN" in page.html
        assert "Authorization: Bearer $PUSHRELAY_TOKEN" in unescape(page.html)


async def board(relay: Guarded, token: str) -> BoardPage:
    answer = await relay.ask("GET", "/", token)
    return read_board(Response(*answer))
