"""The page of the relay itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flask_clients import flask_client

from pushrelay import __version__
from pushrelay.config import Settings

FLAGS = {"web.listen-address": ":9091", "log.level": "warn"}


def page() -> str:
    relay: Any = SimpleNamespace(
        refresh_blocking=lambda: True, telemetry=SimpleNamespace(started_at=1.25)
    )
    response = flask_client(Settings(flags=FLAGS), relay).get("/status")
    assert response.status_code == 200
    return response.text


def test_version_start_and_flags_are_shown() -> None:
    shown = page()
    assert f"<dd>{__version__}</dd>" in shown
    assert "1970-01-01 00:00:01 UTC" in shown
    for name, value in FLAGS.items():
        assert f"<code>--{name}</code></th><td><code>{value}</code>" in shown
