"""A server of names, which all have one address that may change."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

_HEAD = 12
_IS_ADDRESS = b"\0\1\0\1"
_ANSWERED, _ONE = b"\x84\0", b"\0\1"


class NameServer:
    """Says at `at`, where only root may listen, that every name has the IPv4 address
    `address`, and no other one."""

    def __init__(self, at: str, address: str) -> None:
        self.at = at
        self.address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((at, 53))
        self._thread = threading.Thread(target=self._answer_all, daemon=True)

    def _answer_all(self) -> None:
        while True:
            asked, client = self._socket.recvfrom(4096)
            if not asked:
                return
            self._socket.sendto(self._answer(asked), client)

    def _answer(self, asked: bytes) -> bytes:
        end = asked.index(b"\0", _HEAD) + 5
        question, is_found = asked[_HEAD:end], asked[end - 4 : end] == _IS_ADDRESS
        counts = _ONE + (_ONE if is_found else bytes(2)) + bytes(4)
        answer = asked[:2] + _ANSWERED + counts + question
        if is_found:
            # Of the name in the question, not to be remembered, in four bytes.
            answer += b"\xc0\x0c" + _IS_ADDRESS + bytes(4) + b"\0\4"
            answer += socket.inet_aton(self.address)
        return answer

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.at, 53))
        self._thread.join()
        self._socket.close()
