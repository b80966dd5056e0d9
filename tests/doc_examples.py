"""The examples that the docs show."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def example_in(page: str, language: str) -> str:
    """Return the one example in `language` on a page, by its path in the repository."""
    text = (ROOT / page).read_text()
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)
