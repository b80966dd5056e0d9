"""What tests do with runs at a relay in their own process."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from relay_use import SECOND, Clock

from pushrelay.pings import parse_ping
from pushrelay.relay import Relay
from pushrelay.run_documents import parse_run
from pushrelay.writes import Reported, ReportRun


@dataclass(frozen=True)
class Reports:
    """Reports to `relay` of runs of a job, at the time of `clock`."""

    relay: Relay
    clock: Clock
    job: str = "a"

    async def ping(self, **fields: str) -> Reported:
        """Report what these parameters say."""
        given = [("job", self.job), *fields.items()]
        report = parse_ping(given, self.clock.now, utf8_names=False)
        return await self.relay.runs.report(ReportRun(report))

    async def began(self, run: object, at: float, **more: Any) -> Reported:
        """Report that `run`, of whatever name, began at a moment, Unix seconds."""
        return await self._tell(run, {"state": "started", "started_at": at, **more})

    async def ended(
        self,
        run: object,
        began_at: float,
        at: float,
        outcome: str = "success",
        **more: Any,
    ) -> Reported:
        """Report how `run` ended at a moment."""
        ended = {"state": "finished", "finished_at": at, "outcome": outcome}
        return await self._tell(run, {"started_at": began_at, **ended, **more})

    async def _tell(self, run: object, fields: dict[str, Any]) -> Reported:
        body = json.dumps({"job": self.job, **fields}).encode()
        id_ = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.job} {run}")
        report = parse_run(body, id_, self.clock.now, utf8_names=False)
        return await self.relay.runs.report(ReportRun(report))

    @property
    def now(self) -> float:
        """The time, Unix seconds."""
        return self.clock.now / SECOND
