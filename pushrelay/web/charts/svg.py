"""Elements of SVG, escaped as they are made.

A chart is an `svg` without a view box, as wide as its place and of a fixed height, so
that its text has the same size on a phone and on a wide screen: what is in it has its
place in percent. The marks are in a plane that is stretched to that width; strokes are
not, as charts.css says.
"""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

WIDTH = 1000
"""Units that a plane is wide, whatever that is on a screen; its height is in pixels."""


def element(
    tag: str, attributes: Mapping[str, str | float], *content: str | Markup
) -> Markup:
    """Return an element; all but Markup in its content is escaped."""
    written = [f' {name}="{_escaped(value)}"' for name, value in attributes.items()]
    inside = "".join([_escaped(part) for part in content])
    # All that comes from outside has been escaped; tag and names are our own.
    return Markup(f"<{tag}{''.join(written)}>{inside}</{tag}>")  # noqa: S704


def joined(parts: list[Markup]) -> Markup:
    """Return several elements as one."""
    return Markup("").join(parts)


def chart(kind: str, height: int, label: str, shown: Markup, links: Markup) -> Markup:
    """Return a chart that is an image called `label`, with `links` on top of it.

    The links are for pointers: an image can have none for a screen reader, and those
    who use a keyboard have them in the page's table.
    """
    image = element("g", {"role": "img", "aria-label": label}, shown)
    over = element("g", {"aria-hidden": "true"}, links)
    size: dict[str, str | float] = {"width": "100%", "height": height}
    return element("svg", {"class": f"chart {kind}", **size}, image, over)


def plane(top: int, height: int, *content: Markup) -> Markup:
    """Return `content`, in units of WIDTH and pixels, stretched to the chart."""
    attributes: dict[str, str | float] = {
        "y": top,
        "width": "100%",
        "height": height,
        "viewBox": f"0 0 {WIDTH} {height}",
        "preserveAspectRatio": "none",
        "overflow": "visible",
    }
    return element("svg", attributes, *content)


def path(look: str, steps: str) -> Markup:
    """Return a path with the class `look`."""
    return element("path", {"class": look, "d": steps})


def text(
    words: str, left: float, base: float, anchor: str = "start", look: str = ""
) -> Markup:
    """Return words at `left` units of a plane and `base` pixels of a chart."""
    attributes: dict[str, str | float] = {"x": f"{number(left * 100 / WIDTH)}%"}
    attributes["y"] = base
    if anchor != "start":
        attributes["text-anchor"] = anchor
    if look:
        attributes["class"] = look
    return element("text", attributes, words)


def link(run_id: str, title: str, drawn: Markup) -> Markup:
    """Return what is `drawn` as a link to a run; Tab passes over it."""
    attributes = {"href": f"./run?id={run_id}", "tabindex": "-1"}
    return element("a", attributes, element("title", {}, title), drawn)


def number(value: float) -> str:
    """Return a coordinate, to a tenth."""
    written = f"{value:.1f}"
    return written[:-2] if written.endswith(".0") else written


def printable(text: str) -> str:
    """Return `text` with something else for control characters, which XML does not take
    in any form, and their like."""
    if text.isprintable():
        return text
    return "".join(
        [c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text]
    )


def _escaped(value: str | float) -> str:
    if not isinstance(value, str):
        return number(value)
    if isinstance(value, Markup):
        return value
    return escape(printable(value))
