"""Print what an image holds beside Python, as CycloneDX: the packages of runtime.txt.

The same pins give the same bytes: no time, no random number, nothing of the machine.
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

import pushrelay

RUNTIME = Path(__file__).with_name("runtime.txt")

SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    # There are others of that name. Who says no more than this here means this one.
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
}
"""What packages call their licences, and what SPDX does."""


class Pin(NamedTuple):
    """A package that is pinned.

    requirement: its name, version and marker.
    hashes: of the files that are taken for it, SHA-256.
    users: the packages that need it; `pushrelay (setup.cfg)` is ours.
    """

    requirement: Requirement
    hashes: tuple[str, ...]
    users: tuple[str, ...]

    @property
    def version(self) -> str:
        [specifier] = self.requirement.specifier
        return specifier.version

    @property
    def is_for_here(self) -> bool:
        """Whether this system and this Python get it."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate()


def pins_of(path: Path) -> dict[str, Pin]:
    """Return what a file of `make lock` pins, by name."""
    pins = {}
    for block in re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)[1:]:
        requirement = Requirement(block.partition(" \\\n")[0])
        hashes = re.findall(r"--hash=sha256:(\w+)", block)
        users = re.findall(r"^ +#(?: via|  ) +(\S.*)$", block, re.MULTILINE)
        pins[requirement.name] = Pin(requirement, tuple(hashes), tuple(users))
    return pins


def licence_of(name: str) -> str:
    """Return the licence of an installed package, as SPDX writes it."""
    told = metadata.metadata(name)
    if expression := told.get("License-Expression"):
        return str(expression)
    kinds = [each.split(" :: ") for each in told.get_all("Classifier") or ()]
    said = {kind[-1] for kind in kinds if kind[0] == "License"} or {told["License"]}
    if unknown := said - SPELLINGS.keys():
        raise SystemExit(f"{name}: no SPDX name of {unknown}; add it to {__file__}")
    return " OR ".join(sorted(SPELLINGS[each] for each in said))


def bill() -> dict[str, Any]:
    """Return the whole document."""
    pins = {name: pin for name, pin in pins_of(RUNTIME).items() if pin.is_for_here}
    own = _named("pushrelay", pushrelay.__version__, licence="Apache-2.0")
    parts = {
        name: _named(name, pin.version, licence_of(name)) | _files_of(pin)
        for name, pin in pins.items()
    }
    needs: dict[str, list[str]] = {part["purl"]: [] for part in (own, *parts.values())}
    for name, pin in pins.items():
        for user in pin.users:
            needs[parts.get(user, own)["purl"]].append(parts[name]["purl"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", **own}},
        "components": [{"type": "library", **part} for part in parts.values()],
        "dependencies": [{"ref": ref, "dependsOn": on} for ref, on in needs.items()],
    }


def _named(name: str, version: str, licence: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": [{"expression": licence}],
        "purl": purl,
    }


def _files_of(pin: Pin) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": each} for each in pin.hashes]
    files = {
        "type": "distribution",
        # Not where they are: every index has the same.
        "url": f"pkg:pypi/{pin.requirement.name}@{pin.version}",
        "comment": "any of its files",
        "hashes": hashes,
    }
    return {"externalReferences": [files]}


if __name__ == "__main__":
    print(json.dumps(bill(), indent=1))  # noqa: T201  # this is what it is for
