"""axe-core, of npm, which judges whether a page can be used by everybody."""

from __future__ import annotations

from functools import cache

import pytest
from browsers import Visitor
from relay_process import REPOSITORY

_SOURCE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"

_RUN = """
async (rules) => {
  document.querySelectorAll("details").forEach((one) => one.open = true);
  const only = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
  const found = await axe.run(document, { resultTypes: ["violations"], ...only });
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`));
}
"""


@cache
def _source() -> str:
    if not _SOURCE.exists():
        pytest.skip("there is no axe-core: npm install")
    return _SOURCE.read_text()


def violations(visitor: Visitor, *rules: str) -> list[str]:
    """Return what axe-core holds against the page that is open, by `rules` or by all.

    What is closed is opened first.
    """
    # The browser evaluates it for us, beside the policy of the page.
    visitor.page.evaluate(_source())
    told: list[str] = visitor.page.evaluate(_RUN, list(rules))
    return told
