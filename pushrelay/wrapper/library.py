"""`run`: jobs that are written in Python report their runs.

with run("nightly-report", every="1d") as r:
    r.gauge("rows", import_rows())
"""

from __future__ import annotations

# What reports is imported here, and not beside the job as the wrapper does: a thread
# that imports while the job forks leaves locks for which the new process would wait
# for ever.
import encodings.idna  # noqa: F401  # needed to look up hosts
import inspect
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

import pushrelay.wrapper.flush
import pushrelay.wrapper.pushgateway  # noqa: F401  # see above
from pushrelay.wrapper.job_run import JobRun
from pushrelay.wrapper.job_settings import JobSettings, job_key

_Function = TypeVar("_Function", bound=Callable[..., Any])


def run(
    job: str,
    *,
    instance: str | None = None,
    labels: Mapping[str, str] | None = None,
    url: str | None = None,
    token: str | None = None,
    token_file: str | None = None,
    schedule: str | None = None,
    on_calendar: str | None = None,
    every: str | None = None,
    grace: str | None = None,
    tz: str | None = None,
    min_interval: str | None = None,
    max_runtime: str | None = None,
    report_timeout: float = 5.0,
    report_traceback: bool = False,
    attempt: int = 1,
) -> Job:
    """Return what reports each run of `job`: a context manager, whose every entry is a
    run, and a decorator, for which each call of the function is one.

    instance: the label of that name; the host by default, "" for none. labels: others.
    url: of the relay; PUSHRELAY_URL or http://localhost:9091 by default. token,
    token_file: for it; PUSHRELAY_TOKEN_FILE or PUSHRELAY_TOKEN by default. schedule,
    on_calendar, every, grace, tz, min_interval, max_runtime: what is expected of the
    job, see docs/runs.md; tz is that of this host by default. report_timeout: so many
    seconds the report may delay the end. report_traceback: whether to report the end of
    the traceback of an exception. attempt: counts runs of one and the same task.

    Raises ValueError for what is wrong with that.
    """
    expected = {
        "schedule": schedule,
        "on_calendar": on_calendar,
        "every": every,
        "grace": grace,
        "tz": tz,
        "min_interval": min_interval,
        "max_runtime": max_runtime,
    }
    return Job(
        JobSettings(
            job_key(job, instance, dict(labels or {})),
            url=url,
            token=token,
            token_file=token_file,
            expected=expected,
            report_timeout=report_timeout,
            report_traceback=report_traceback,
            attempt=attempt,
        )
    )


class Job:
    """A job whose runs are reported: see `run`."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._current: JobRun | None = None

    def __call__(self, function: _Function) -> _Function:
        """Return `function` so that each call of it is a run; it may be `async`."""
        settings = self._settings
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(
            function
        ):
            raise TypeError(
                f"{function.__qualname__} is a generator, and calling it does not run "
                "it; use `with run(...)` in it or around its loop"
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*arguments: Any, **named: Any) -> Any:
                async with Job(settings):
                    return await function(*arguments, **named)

            return cast(_Function, awaited)

        @wraps(function)
        def called(*arguments: Any, **named: Any) -> Any:
            with Job(settings):
                return function(*arguments, **named)

        return cast(_Function, called)

    def __enter__(self) -> JobRun:
        with self._lock:
            if self._current is not None:
                raise RuntimeError(
                    f"a run of {self._settings.job} has begun with this and not ended; "
                    "call run(...) once more for each that is to go on at the same time"
                )
            self._current = JobRun(self._settings)
            return self._current

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._left().end(error)

    async def __aenter__(self) -> JobRun:
        return self.__enter__()

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        ended = self._left()
        await _beside_the_loop(lambda: ended.end(error))

    def _left(self) -> JobRun:
        current, self._current = self._current, None
        if current is None:
            raise RuntimeError(f"no run of {self._settings.job} has begun with this")
        return current


async def _beside_the_loop(work: Callable[[], None]) -> None:
    """Do `work`, which may take long, while the event loop goes on with other tasks."""
    import asyncio  # few jobs have a loop

    done: Future[None] = Future()
    done.set_running_or_notify_cancel()

    def finish() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised where it is awaited
            done.set_exception(error)
        else:
            done.set_result(None)

    try:
        asyncio.get_running_loop()
        # Not in the pool of the loop, for the job may keep that busy for long. No
        # daemon, for the interpreter must not end before the report is safe.
        threading.Thread(target=finish, name="end").start()
    except RuntimeError:
        work()  # no loop of asyncio, or no more threads
        return
    await asyncio.wrap_future(done)
