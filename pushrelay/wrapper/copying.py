"""Output of the command on its way to where it would have gone without us.

Read before the command starts, so that little beyond `os` is imported.
"""

from __future__ import annotations

import fcntl
import os

from pushrelay.wrapper.descriptors import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from _thread import LockType

    from pushrelay.wrapper.held_back import HeldBack
    from pushrelay.wrapper.tail import Tail

_AT_ONCE = 1 << 16


class Copier:
    """Copies what comes from the pipe `source` to `target`, or to `held`.

    stop: a descriptor that becomes readable when the command has ended. tail: gets a
    copy. turn: is held while something is read and held back, so that copiers of
    several pipes keep the order.
    """

    def __init__(
        self,
        source: int,
        target: int,
        stop: int,
        turn: LockType,
        tail: Tail | None = None,
        held: HeldBack | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._stop = stop
        self._turn = turn
        self._tail = tail
        self._held = held

    def copy(self) -> None:
        """Copy until the pipe ends, or until nobody reads `target` any more, or, after
        `stop`, what is in the pipe then.

        Raises OSError if `target` does not take it.
        """
        import select

        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        if self._held is None and _loses_readers_for_good(self._target, self._source):
            # Asked for nothing, it reports an error when its last reader has gone.
            poll.register(self._target, 0)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._stop in ready:
                return self._copy_rest(poll)
            if self._target in ready or not self._take(_AT_ONCE):
                return None

    def _copy_rest(self, poll: select.poll) -> None:
        # Processes that are left may write for ever; the pipe held no more than this
        # when the command ended.
        left = fcntl.fcntl(self._source, fcntl.F_GETPIPE_SZ)
        while left and self._source in dict(poll.poll(0)):
            taken = self._take(min(left, _AT_ONCE))
            if not taken:
                return
            left -= taken

    def _take(self, most: int) -> int:
        """Take `most` bytes at most, which must be there, or the end of the pipe;
        return how many it were."""
        with self._turn:
            data = os.read(self._source, most)
            is_held = self._held is not None and self._held.keep(self._target, data)
        if self._tail is not None:
            self._tail.add(data)
        if not is_held:
            write_all(self._target, data)
        return len(data)


def _loses_readers_for_good(fd: int, pipe: int) -> bool:
    """Return whether `fd` is a pipe like `pipe`, without a name by which there could be
    new readers."""
    return os.fstat(fd).st_dev == os.fstat(pipe).st_dev
