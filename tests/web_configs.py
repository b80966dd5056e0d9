"""Web configuration files, read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushrelay.errors import InvalidWebConfig
from pushrelay.web.web_config import WebConfig, read_web_config

HASH = "$2y$04$xvz/WiSyz2LEuXppSCITb.OKhOtG94GJI7RMwjV/L92UxUFVrEzBy"
SECRET = "hunter2"


def read(directory: Path, text: str | bytes) -> WebConfig:
    """Return what a file in the directory with this text says."""
    file = directory / "web.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_web_config(file)


def refused(directory: Path, text: str | bytes) -> list[str]:
    """Return the problems, without the path of the file; none tells the secret."""
    with pytest.raises(InvalidWebConfig) as caught:
        read(directory, text)
    problems = caught.value.problems
    assert str(caught.value) == "\n".join(problems)
    assert SECRET not in str(caught.value)
    prefix = f"{directory / 'web.yml'}:"
    assert all(problem.startswith(prefix) for problem in problems)
    return [problem.removeprefix(prefix) for problem in problems]
