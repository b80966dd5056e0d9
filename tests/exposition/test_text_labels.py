from __future__ import annotations

import pytest

from pushrelay.exposition import text_labels
from pushrelay.exposition.text_labels import LabelTexts, sorted_labels


def test_very_many_label_sets_are_not_all_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_labels, "_REMEMBERED", 3)
    texts = LabelTexts(lambda _names: sorted_labels, longest=100)
    for n in (*range(9), 0):
        assert texts[f'a{n}="1"}}'] == ((f"a{n}", "1"),)
        assert len(texts) <= 3
        assert len(texts._frames) <= 3
