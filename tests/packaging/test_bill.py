"""`make sbom` lists what is pinned, and all of that may be shipped with us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from relay_process import REPOSITORY

from requirements.sbom import RUNTIME, licence_of, pins_of

COMPATIBLE = {
    "Apache-2.0",
    "Apache-2.0 OR MIT",
    "BSD-3-Clause",
    "MIT",
    "PSF-2.0",
}
"""What may be shipped with code under Apache-2.0, on no condition but notices."""

OF_ITS_OWN = {
    # The driver of PostgreSQL, which an extra asks for: imported where it is installed,
    # and replaced by a newer one without a change of ours.
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
}
"""Packages of another licence, of which no part is in ours."""

HERE = {name: pin for name, pin in pins_of(RUNTIME).items() if pin.is_for_here}


@pytest.mark.parametrize("name", HERE)
def test_the_licence_of_the_package_goes_with_ours(name: str) -> None:
    licence = licence_of(name)
    assert licence in COMPATIBLE or licence == OF_ITS_OWN[name]


def test_the_exceptions_are_packages_that_there_are() -> None:
    assert OF_ITS_OWN.keys() <= HERE.keys()


def written(**environment: str) -> str:
    """Return what `make sbom` writes."""
    return subprocess.check_output(
        [sys.executable, "requirements/sbom.py"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        text=True,
    )


@pytest.fixture(scope="module")
def text() -> str:
    return written()


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_list_is_of_cyclonedx(text: str) -> None:
    # It makes 38 grammars at once, in each process that only looks for tests here.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_lists_what_is_pinned(bill: dict[str, Any]) -> None:
    listed = {each["name"]: each for each in bill["components"]}
    assert {name: each["version"] for name, each in listed.items()} == {
        name: pin.version for name, pin in HERE.items()
    }
    for name, pin in HERE.items():
        [files] = listed[name]["externalReferences"]
        assert tuple(each["content"] for each in files["hashes"]) == pin.hashes


def test_all_of_it_is_there_for_us(bill: dict[str, Any]) -> None:
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    found: set[str] = set()
    left = [bill["metadata"]["component"]["bom-ref"]]
    while left:
        ref = left.pop()
        if ref not in found:
            found.add(ref)
            left += needs[ref]
    assert found == needs.keys()
    assert len(found) == 1 + len(HERE)


def test_the_same_pins_give_the_same_bytes_and_nothing_of_the_machine(
    text: str,
) -> None:
    assert written(PYTHONHASHSEED="1", TZ="Asia/Tokyo", HOME="/nowhere") == text
    assert str(REPOSITORY) not in text
    assert sys.prefix not in text
    assert "://" not in text
