"""The spool: reports that could not be delivered, in files of this user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import EFBIG
from typing import NamedTuple
from zlib import crc32

from pushrelay.wrapper.envelopes import (
    MOST_BYTES,
    TEMPORARY,
    Entry,
    Name,
    envelope,
    file_name,
    parse_envelope,
    parse_name,
    relay_mark,
    write_file,
)
from pushrelay.wrapper.locking import locked
from pushrelay.wrapper.reading import read_file
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.state import is_private, private_directory, usable_directory

__all__ = ["MOST_BYTES", "MOST_FILES", "MOST_SECONDS", "Entry", "Spool"]

MOST_SECONDS = 29 * 86400.0
"""So long reports are kept: the relay takes none of more than 30 days ago."""

_DOUBTED_SECONDS = 60 * 86400.0
"""What waits is looked after before it is so old. What seems to be older may only be
younger than a clock that leapt ahead: it is kept, for the relay to judge."""

MOST_FILES = 20_000
"""So many reports are kept; all are looked at when some are delivered."""

_CRASHED_SECONDS = 3600.0
"""A file that is not complete by then will never be."""

_FEW_FILES = 256
_SLACK_BYTES = 1024 * 1024
"""About so much may be there beyond MOST_BYTES until someone tidies up."""

_SPOOL = "spool"
_REFUSED = "refused"
_LOCK = "lock"
_LOCKING = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW


class _File(NamedTuple):
    """A file of a report."""

    path: str
    name: Name

    def status(self) -> tuple[int, float]:
        """Return its size, and when it was written, Unix seconds; 0 if it is gone."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return 0, 0.0
        return found.st_size, found.st_mtime


class Spool:
    """The spool in `directories` (see `wrapper.state`), the first that can be written
    to for what is new."""

    def __init__(self, directories: list[str]) -> None:
        self._directories = directories

    def keep(self, report: Report, url: str, now: float) -> str:
        """Keep `report` for the relay at `url`, and return its file. A finish takes the
        place of a start that is kept of the same run. Raises OSError; then it is not
        kept.

        What is too old goes, and the oldest where there is too much: first what was
        refused. Where there are many, that is looked after only now and then, so that
        it costs about the same for each of them; MOST_BYTES are exceeded by a few MiB
        then, MOST_FILES by a few hundred, and more is rare.
        """
        url = _without_user(url)
        content = envelope(report, url, now)
        if len(content) > MOST_BYTES:
            raise OSError(EFBIG, f"a report of more than {MOST_BYTES} bytes")
        path = self._write(file_name(report, url), content)
        if (start := _start_of(report)) is not None:
            for place in self._places():
                _unlink(os.path.join(place, file_name(start, url)))
        if _is_turn(report, len(content), self._count()):
            self._tidy(path, now)
        return path

    def drop(self, run_id: str) -> None:
        """Forget what is kept of the run `run_id`, which was reported otherwise."""
        for found in [each for place in self._places() for each in _scan(place)]:
            # Most names need not be parsed for that.
            if run_id.lower() in found.name and parse_name(found.name) is not None:
                _unlink(found.path)

    def waiting(self, url: str | None = None) -> list[Entry]:
        """Return what is to be delivered, or of it what is for the relay at `url`; in
        the order in which it happened."""
        entries = map(self.read, self.paths(url))
        return [each for each in entries if each and self.is_for(each, url)]

    def paths(self, url: str | None = None) -> list[str]:
        """Return the files of what `waiting` returns, which may be many, without
        reading them. A few may be for other relays."""
        mark = None if url is None else relay_mark(_without_user(url))
        return [
            file.path
            for file in self._files()
            if mark is None or file.name.relay == mark
        ]

    def is_for(self, entry: Entry, url: str | None) -> bool:
        """Return whether `entry` is for the relay at `url`, None for any."""
        return url is None or entry.url == _without_user(url)

    def read(self, path: str) -> Entry | None:
        """Return what waits in the file at `path`; None if there is nothing any more. A
        broken file is set aside."""
        try:
            return parse_envelope(read_file(path, MOST_BYTES), path)
        except ValueError:
            _move_aside(path)
        except OSError:
            pass  # delivered meanwhile, or not for us to read
        return None

    def refused(self) -> list[Entry]:
        """Return what was refused for good, the oldest first."""
        return [
            entry for file in self._files(_REFUSED) if (entry := _read_refused(file))
        ]

    def delivered(self, entry: Entry) -> None:
        """Forget `entry`."""
        # A finish that was kept meanwhile has another name.
        _unlink(entry.path)

    def discard(self, entry: Entry) -> bool:
        """Lose `entry`, waiting or refused, and return whether it still was there.
        Raises OSError."""
        try:
            os.unlink(entry.path)
        except FileNotFoundError:
            return False
        return True

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Keep `entry` as refused, for people to see."""
        place, name = os.path.split(entry.path)
        content = envelope(entry.report, entry.url, entry.spooled_at, reason)
        try:
            write_file(_refused_of(place), name, content)
        except OSError:
            # It must not be tried for ever because there is no space for the reason.
            _move_aside(entry.path)
        else:
            _unlink(entry.path)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Yield whether no other process is delivering what is in the spool; none will
        while it is True."""
        with ExitStack() as held:
            # Where it cannot be locked: what is delivered twice counts once.
            locks = [os.path.join(place, _LOCK) for place in self._places()]
            yield all(held.enter_context(locked(lock, _LOCKING)) for lock in locks)

    def _places(self) -> Iterator[str]:
        """Yield the directories that hold a spool of this user, and no one else's."""
        for directory in self._directories:
            place = os.path.join(directory, _SPOOL)
            with suppress(OSError):
                if is_private(directory) and is_private(place):
                    yield place

    def _files(self, below: str = "") -> list[_File]:
        files = [
            file
            for place in self._places()
            for file in _files_in(os.path.join(place, below))
        ]
        return sorted(files, key=lambda file: file.path.rpartition("/")[2])

    def _write(self, name: str, content: bytes) -> str:
        first: OSError | None = None
        for directory in self._directories:
            try:
                return write_file(usable_directory([directory], _SPOOL), name, content)
            except OSError as error:
                first = first or error
        raise first or FileNotFoundError(2, "no directory for it", _SPOOL)

    def _count(self) -> int:
        """Return about how many files there are."""
        found = 0
        for place in self._places():
            for directory in (place, os.path.join(place, _REFUSED)):
                with suppress(OSError):  # it may not be there
                    found += len(os.listdir(directory))
        return found

    def _tidy(self, kept: str, now: float) -> None:
        """Remove what is too old and too much, but not the file at `kept`."""
        for place in self._places():
            _remove_crashed(place, now)
            _remove_crashed(os.path.join(place, _REFUSED), now)
        found = []
        for file in self._files(_REFUSED):
            size, at = file.status()
            found.append((file.path, size, now - at > MOST_SECONDS))
        for file in self._files():
            size, at = file.status()
            age = now - max(at, file.name.at)
            found.append((file.path, size, MOST_SECONDS < age < _DOUBTED_SECONDS))
        bytes_over = sum([size for _, size, _ in found]) - MOST_BYTES
        files_over = len(found) - MOST_FILES
        for path, size, is_old in found:
            if path != kept and (bytes_over > 0 or files_over > 0 or is_old):
                _unlink(path)
                bytes_over, files_over = bytes_over - size, files_over - 1


def _start_of(report: Report) -> Report | None:
    """Return a report that has the file name of the start of a run, by its finish."""
    at = report.document.get("started_at")
    if not report.is_finish or not isinstance(at, int | float):
        return None
    return Report(report.run_id, {"state": "started", "started_at": at})


def _is_turn(report: Report, size: int, files: int) -> bool:
    """Return whether to tidy up now that `report` of so many bytes is one of so many
    files: always where these are few, else in proportion to what that costs, and to
    what came since."""
    share = crc32(report.run_id.encode()) / 2**32
    return share * files < _FEW_FILES or share * _SLACK_BYTES < size


def _without_user(url: str) -> str:
    scheme, separator, rest = url.rpartition("://")
    authority, slash, path = rest.partition("/")
    return scheme + separator + authority.rpartition("@")[2] + slash + path


def _files_in(directory: str) -> Iterator[_File]:
    for found in _scan(directory):
        name = parse_name(found.name)
        try:
            if name is not None and found.is_file(follow_symlinks=False):
                yield _File(found.path, name)
        except OSError:
            continue  # gone meanwhile


def _remove_crashed(directory: str, now: float) -> None:
    for found in _scan(directory):
        if found.name.startswith(TEMPORARY):
            with suppress(OSError):
                changed_at = found.stat(follow_symlinks=False).st_mtime
                if changed_at < now - _CRASHED_SECONDS:
                    os.unlink(found.path)


def _scan(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []  # there is none


def _read_refused(file: _File) -> Entry | None:
    """Return what was refused; None if it is gone."""
    why = "the relay refused it for good, but there was no space for its reason"
    try:
        entry = parse_envelope(read_file(file.path, MOST_BYTES), file.path)
        if entry.reason:
            return entry
        url, report = entry.url, entry.report
    except OSError:
        return None
    except ValueError as error:
        why = f"its file {error}; have a look at {file.path}, and remove it"
        state = "finished" if file.name.is_finish else "started"
        times = {"started_at": file.name.at, f"{state}_at": file.name.at}
        url, report = "", Report(file.name.run_id, {"state": state, **times})
    return Entry(file.path, url, report, file.status()[1], why)


def _refused_of(place: str) -> str:
    """Return the directory for what is refused, after making it if need be. Raises
    OSError."""
    path = os.path.join(place, _REFUSED)
    private_directory(path)
    return path


def _move_aside(path: str) -> None:
    place, name = os.path.split(path)
    with suppress(OSError):
        os.rename(path, os.path.join(_refused_of(place), name))


def _unlink(path: str) -> None:
    # Who delivers it once more does no harm, and it may be gone already.
    with suppress(OSError):
        os.unlink(path)
