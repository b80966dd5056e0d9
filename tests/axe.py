"""axe-core, of npm, which judges whether a page can be used by everybody."""

from __future__ import annotations

from functools import cache

import pytest
from browsers import Visitor
from relay_process import REPOSITORY

_SOURCE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"

_RUN = """
async () => {
  const found = await axe.run(document, { resultTypes: ["violations"] });
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`));
}
"""


@cache
def _source() -> str:
    if not _SOURCE.exists():
        pytest.skip("there is no axe-core: npm install")
    return _SOURCE.read_text()


def violations(visitor: Visitor) -> list[str]:
    """Return what axe-core holds against the page that is open, all of its rules.

    What is closed is looked at as well: it is opened first.
    """
    page = visitor.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    # The browser evaluates it for us, beside the policy of the page.
    page.evaluate(_source())
    told: list[str] = page.evaluate(_RUN)
    return told
