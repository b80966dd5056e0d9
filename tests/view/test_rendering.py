from __future__ import annotations

from collections.abc import Iterator

import pytest

from pushrelay.view import rendering
from pushrelay.view.blocks import Block
from pushrelay.view.rendering import LARGE_BLOCK, Rendering

PIECE = 1024


@pytest.mark.parametrize("line", [b"a", b'x{instance="",job="a"} 1\n'])
def test_what_is_kept_compressed_comes_back_whole(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "PIECE_BYTES", PIECE)
    # All that is left of the output may be there when the input ends.
    for size in range(LARGE_BLOCK, LARGE_BLOCK + PIECE + 1):
        written = (line * size)[:size]
        assert plain(written) == written


def plain(written: bytes) -> bytes:
    """Return what a dear rendering of a block, that writes this, gives back."""

    def write(_: Block) -> Iterator[bytes]:
        yield written

    block = Block("x", (), (), 0, utf8_names=False)
    way = Rendering("a way", write, is_dear=True)
    assert not isinstance(way.compressed(block), bytes)
    return b"".join(way.plain(block))
