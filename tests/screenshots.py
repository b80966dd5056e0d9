"""Takes the pictures of the pages that the documentation shows: `make screenshots`.

A relay of its own is filled for them. `screenshots.py DIRECTORY` writes them elsewhere.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import page_data
from browsers import CHROMIUM, Visitor, chromium
from relay_process import REPOSITORY, RelayProcess

IMAGES = REPOSITORY / "docs" / "images"
MOST_BYTES = 200_000

BOARD = "/"
JOB = "/job?job=billing-export&instance=eu"

WIDE = {"viewport": {"width": 1400, "height": 850}}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}

SHOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "board": (BOARD, WIDE),
    "board-dark": (BOARD, {**WIDE, "color_scheme": "dark"}),
    "board-phone": (BOARD, PHONE),
    "job": (JOB, WIDE),
    "job-dark": (JOB, {**WIDE, "color_scheme": "dark"}),
    "job-phone": (JOB, PHONE),
}
"""Path and browser of each picture."""


def main() -> int:
    """Take all pictures; return the exit status."""
    if CHROMIUM is None:
        print(
            "There is no chromium, which takes the pictures. "
            "On Debian: apt-get install chromium",
            file=sys.stderr,
        )
        return 1
    images = Path(sys.argv[1]) if sys.argv[1:] else IMAGES
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pushrelay-pages-") as name:
        directory = Path(name)
        relay = RelayProcess(directory, *page_data.flags(directory))
        with relay, chromium() as browser:
            page_data.fill(relay, with_oddities=False)
            for shot, (path, options) in SHOTS.items():
                image = images / f"{shot}.png"
                with Visitor(browser, timezone_id="UTC", **options) as visitor:
                    visitor.open(f"http://{relay.address}{path}")
                    visitor.page.screenshot(path=image)
                size = image.stat().st_size
                print(f"{image}: {size:,} bytes")
                if size > MOST_BYTES:
                    print(f"It must have {MOST_BYTES:,} at most.", file=sys.stderr)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
