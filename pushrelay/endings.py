"""The use cases that end what is known: delete groups, retire a job, wipe, forget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from pushrelay.deletions import deletions_of
from pushrelay.errors import StoreUnavailable
from pushrelay.group_list import groups_of_job
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group, Holder
from pushrelay.telemetry import Telemetry
from pushrelay.view.jobs import job_of
from pushrelay.view.view import View
from pushrelay.writes import Delete, ForgetRuns, Look, Write

FORGOTTEN_AT_ONCE = 500
"""Keys whose evidence of runs is removed in one commit; pushes have their turn in
between."""


class Endings:
    """What may be deleted, retired, wiped and forgotten.

    write: has a write done. advance: lets go stale, and be forgotten, what is due in
    the view. catch_up: also brings it up to date, or raises StoreUnavailable.
    """

    def __init__(
        self,
        view: View,
        write: Callable[[Write], Awaitable[Any]],
        advance: Callable[[], Awaitable[None]],
        catch_up: Callable[[], Awaitable[None]],
        telemetry: Telemetry,
    ) -> None:
        self._view = view
        self._write = write
        self._advance = advance
        self._catch_up = catch_up
        self._telemetry = telemetry

    async def delete_groups(
        self,
        groups: Sequence[Group],
        wanted: Callable[[Group], bool] = lambda _: True,
        ended_jobs: frozenset[str] = frozenset(),
    ) -> list[GroupingKey]:
        """Delete those of `groups` that are wanted when they have their turn, whoever
        pushed to them since; return their keys.

        Other arguments as for `Delete`. Pushes get their turn in between. Raises
        StoreUnavailable; some groups may be deleted then.
        """
        deleted: list[GroupingKey] = []
        for deletion in deletions_of(groups, wanted, ended_jobs):
            try:
                deleted += await self._write(deletion)
            except StoreUnavailable as error:
                raise StoreUnavailable(
                    f"{len(deleted)} of {len(groups)} groups are deleted; then: {error}"
                ) from error
        return deleted

    async def retire(self, job: str, *, dry_run: bool = False) -> list[GroupingKey]:
        """Forget `job`: its groups and runs, and what else is known of it; return the
        keys of its groups.

        dry_run: whether nothing may change. Raises StoreUnavailable.
        """
        await self._catch_up()
        groups, forgotten = await asyncio.to_thread(self._all_groups_of, job)
        if dry_run:
            return [group.key for group in groups]
        all_groups = [*forgotten, *groups]
        deleted = await self.delete_groups(all_groups, ended_jobs=frozenset([job]))
        self._telemetry.forgotten(len(deleted))
        hidden = {group.key for group in forgotten}
        return [key for key in deleted if key not in hidden]

    def groups_of(self, job: str) -> Sequence[Group]:
        """Return the groups that end with `job`, as far as is known here; on a thread
        that may wait."""
        return groups_of_job(self._view.sorted_groups(), job)

    def remembers(self, job: str) -> bool:
        """Whether pushes to `job` are remembered beyond its groups."""
        return self._view.jobs.get(job) is not None

    async def wipe(self) -> None:
        """Delete all groups and runs, and what is known of jobs. Raises
        StoreUnavailable."""
        groups: list[Group] = await self._write(Look())
        # The view may not have the last commit yet, and so not the newest jobs.
        known: list[Holder] = [*groups, *self._view.jobs.all()]
        await self.delete_groups(groups, ended_jobs=frozenset(map(job_of, known)))
        await self._write(Delete((), ends_runs=True))

    async def remove_forgotten(self) -> None:
        """Remove the rows of what is forgotten. Raises StoreUnavailable."""
        await self._advance()
        forgotten = self._view.forgotten_groups()
        removed = await self.delete_groups(forgotten, lambda group: group.is_forgotten)
        self._telemetry.forgotten(len(removed))
        ids = iter([each.key.id for each in self._view.board.forgotten()])
        while portion := tuple(islice(ids, FORGOTTEN_AT_ONCE)):
            await self._write(ForgetRuns(portion))

    def _all_groups_of(self, job: str) -> tuple[Sequence[Group], list[Group]]:
        """Return the groups of `job`, and those that are forgotten and still stored."""
        forgotten = self._view.forgotten_groups()
        return self.groups_of(job), [
            group for group in forgotten if job_of(group) == job
        ]
