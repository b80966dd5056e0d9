"""The colours of charts: seen by those who see little, and without colours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pushrelay import web
from pushrelay.web.charts.looks import LOOKS

STATIC = Path(web.__file__).parent / "static"
SHEETS = {name: (STATIC / name).read_text() for name in ("base.css", "charts.css")}
THEMES = ["light", "dark"]


def colours_of(sheet: str, theme: str) -> dict[str, str]:
    """Return the custom properties of a style sheet that are colours."""
    light, dark = sheet.split("@media screen and (prefers-color-scheme: dark)")
    dark = dark.split("\n}\n")[0]
    found = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")
    return dict(found.findall(light)) | (
        dict(found.findall(dark)) if theme == "dark" else {}
    )


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("behind", ["back", "card"])
def test_all_that_is_drawn_stands_out(theme: str, behind: str) -> None:
    back = colours_of(SHEETS["base.css"], theme)[behind]
    colours = colours_of(SHEETS["charts.css"], theme)
    assert {f"chart-{look}" for look in LOOKS} <= set(colours)
    assert {n: c for n, c in colours.items() if contrast(c, back) < 3} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_words_can_be_read(theme: str) -> None:
    base = colours_of(SHEETS["base.css"], theme)
    for words in (base["muted"], colours_of(SHEETS["charts.css"], theme)["chart-now"]):
        assert contrast(words, base["back"]) >= 4.5
        assert contrast(words, base["card"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_what_failed_is_stronger_than_what_did_not(theme: str) -> None:
    back = colours_of(SHEETS["base.css"], theme)["back"]
    colours = colours_of(SHEETS["charts.css"], theme)
    success = contrast(colours["chart-success"], back)
    for wrong in ("failure", "timeout", "signal"):
        assert contrast(colours[f"chart-{wrong}"], back) > 1.4 * success


def test_every_look_has_a_style() -> None:
    for look in LOOKS:
        assert f".{look} " in SHEETS["charts.css"]
