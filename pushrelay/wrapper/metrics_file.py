"""The file to which a command may append metrics: `$PUSHRELAY_METRICS`."""

from __future__ import annotations

import os

from pushrelay.wrapper.host import temporary_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_METRICS = 8 * 1024 * 1024
"""Bytes of metrics that are reported; more are refused."""

_NOWHERE = "/dev/null"
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class MetricsFile:
    """An empty file for the metrics of the run `run_id`.

    path: of the file; where none can be made, one that takes all and keeps nothing, so
        that what the command appends does not fail.
    """

    def __init__(self, run_id: str, environ: Mapping[str, str]) -> None:
        self.path = _NOWHERE
        for directory in temporary_directories(environ):
            path = os.path.join(directory, f"pushrelay-{run_id}.prom")
            try:
                os.close(os.open(path, _CREATE, 0o600))
            except OSError:
                continue
            self.path = path
            return

    def take(self) -> tuple[str, str]:
        """Return the metrics, and what is wrong with the file, if anything is; remove
        the file."""
        # Not before the command runs.
        from contextlib import suppress

        from pushrelay.wrapper.reading import read_file

        if self.path == _NOWHERE:
            return "", "no file for its metrics could be made"
        try:
            content = read_file(self.path, LARGEST_METRICS)
        except OSError as error:
            return "", f"its metrics cannot be read: {error.strerror}"
        except ValueError:
            return "", f"its metrics are more than {LARGEST_METRICS} bytes"
        finally:
            with suppress(OSError):  # the command may have removed it
                os.unlink(self.path)
        if content and not content.endswith(b"\n"):
            content += b"\n"
        return content.decode(errors="replace"), ""
