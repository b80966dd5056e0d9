"""A relay that knows of runs and pushes, and what its pages say to a person."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask_clients import flask_client
from in_process import InProcessRelay
from relay_use import SECOND, Clock

from pushrelay.config import Settings
from pushrelay.policies import Policies
from pushrelay.rights import TOKEN, Grant, Identity, Right
from pushrelay.selector_parser import parse_selector

MINUTE, HOUR, DAY = 60, 3600, 86400
MARKUP = "<script>alert(1)</script>\"'&"


def reader(match: str, *rights: Right) -> Identity:
    """Return who may see what the selector `match` matches, and has `rights`."""
    grant = Grant(frozenset(rights or (Right.READ,)), (parse_selector(match),))
    return Identity("reader", TOKEN, grant)


def words_of(html: str) -> str:
    """Return what a page says, in one line; charts by their labels."""
    labelled = re.sub(
        r'<\w+ [^>]*role="img"[^>]* aria-label="([^"]*)"[^>]*>', r"<p>\1<p>", html
    )
    flowing = re.sub(r"</?(a|b|code|span|strong|time)\b[^>]*>", "", labelled)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", flowing)).split())


def links_on(html: str, page: str) -> list[str]:
    """Return the addresses on a page that lead to `page`, each once."""
    found = re.findall(rf'href="(\./{page}\?[^"]*)"', html)
    return list(dict.fromkeys(map(unescape, found)))


@dataclass
class Told:
    """A relay, the clock by which it lives, and what is told to it."""

    relay: InProcessRelay
    clock: Clock

    @property
    def now(self) -> float:
        """Unix seconds."""
        return self.clock.now / SECOND

    def push(self, path: str, body: str = "x 1\n", status: int = 200) -> None:
        """Push to a group."""
        answer = self.relay.put(f"/metrics/{path}", body)
        assert answer.status == status, answer.text

    def expect(self, job: str, **expectation: Any) -> None:
        """Say at the API when a job should run."""
        target = f"/api/v1/jobs/{job}/expectation"
        assert self.relay.put(target, json.dumps(expectation)).status == 200

    def began(self, job: str, ago: float = 0, **fields: Any) -> str:
        """Report the start of a run; return its id."""
        return self._tell(
            job, {"state": "started", "started_at": self.now - ago}, fields
        )

    def ended(
        self,
        job: str,
        ago: float = 0,
        outcome: str = "success",
        took: float = 10,
        **fields: Any,
    ) -> str:
        """Report a run that ended so long ago; return its id."""
        document = {
            "state": "finished",
            "started_at": self.now - ago - took,
            "finished_at": self.now - ago,
            "outcome": outcome,
        }
        return self._tell(job, document, fields)

    def _tell(self, job: str, document: dict[str, Any], fields: dict[str, Any]) -> str:
        id_ = fields.pop("id", None) or str(uuid.uuid4())
        body = json.dumps({"job": job, **document, **fields})
        answer = self.relay.put(f"/api/v1/runs/{id_}", body)
        assert answer.status == 200, answer.text
        return id_

    def page(self, page: str, status: int = 200, **asked: str) -> str:
        """Return the markup of a page; what is asked stands in its address."""
        return self.follow(f"./{page}?{urlencode(asked)}", status)

    def follow(self, address: str, status: int = 200) -> str:
        """Return the markup of the page at a relative address."""
        answer = self.relay.get(address.removeprefix(".").partition("#")[0])
        assert answer.status == status, answer.text
        return answer.text

    def page_for(
        self, identity: Identity, page: str, status: int = 200, **asked: str
    ) -> str:
        """Return the markup of a page as `identity` sees it."""
        client = flask_client(Settings(), self.relay.relay, identity)
        answer = client.get(f"/{page}?{urlencode(asked)}")
        assert answer.status_code == status, answer.text
        return answer.text


@contextmanager
def told_relay(
    directory: Path, policies: Policies | None = None, settings: Settings | None = None
) -> Iterator[Told]:
    """Run a relay with a database in `directory`."""
    clock = Clock()
    with InProcessRelay(directory, clock, policies, settings) as relay:
        yield Told(relay, clock)
