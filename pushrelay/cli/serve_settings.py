"""From the flags of `pushrelay serve` to settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from pushrelay.cli.auth_flags import auth_settings
from pushrelay.cli.options import LIMIT_HELP, flag_values
from pushrelay.config import (
    OWN_METRICS_PATH,
    Freshness,
    Limits,
    Settings,
    normalise_prefix,
)
from pushrelay.durations import parse_duration
from pushrelay.errors import InvalidDuration, StartupError


def settings_of(command: click.Command, values: dict[str, Any]) -> Settings:
    """Return what the `values` of the parameters of `command` say. Raises
    StartupError."""
    from pushrelay.web.origin import origin_of

    flags = flag_values(command, values)
    flags["database.url"] = _without_password(values["database_url"])
    external_path = normalise_prefix(urlsplit(values["external_url"]).path)
    prefix = values["route_prefix"]
    return Settings(
        database_url=values["database_url"],
        database_sync=values["database_sync"],
        listen_addresses=values["listen_addresses"],
        systemd_socket=values["systemd_socket"],
        telemetry_path=_telemetry_path(values["telemetry_path"]),
        own_metrics=values["own_metrics"],
        route_prefix=normalise_prefix(prefix) if prefix else external_path,
        external_path=external_path,
        external_origin=origin_of(values["external_url"]),
        trusted_proxies=_trusted_proxies(values["trusted_proxies"]),
        enable_lifecycle=values["enable_lifecycle"],
        enable_admin_api=values["enable_admin_api"],
        utf8_names=values["utf8_names"],
        freshness=_freshness(values),
        runs_keep=values["runs_keep"],
        runs_max_age=_longer_than_none("--runs.max-age", values["runs_max_age"]),
        config_file=_absolute(values["config_file"]),
        web_config_file=_absolute(values["web_config_file"]),
        **auth_settings(values),
        limits=Limits(**{name: values[f"limit_{name}"] for name in LIMIT_HELP}),
        log_writes=values["log_writes"],
        flags=flags,
    )


def _absolute(path: str) -> str:
    return path and str(Path(path).absolute())


def _trusted_proxies(written: str) -> tuple[str, ...]:
    from pushrelay.web.proxies import Proxies

    trusted = tuple(each.strip() for each in written.split(",")) if written else ()
    Proxies(trusted)
    return trusted


def _telemetry_path(written: str) -> str:
    path = normalise_prefix(written) or "/"
    if path == OWN_METRICS_PATH:
        raise StartupError(
            f"--web.telemetry-path: {path} is the page of the relay's own metrics; "
            "choose another path"
        )
    return path


def _without_password(url: str) -> str:
    from pushrelay.store.engine import without_password

    return without_password(url)


def _freshness(values: dict[str, Any]) -> Freshness:
    stale_after = _duration("--freshness.stale-after", values["stale_after"])
    forget_after = _duration("--freshness.forget-after", values["forget_after"])
    if stale_after and forget_after and forget_after < stale_after:
        raise StartupError(
            "--freshness.forget-after is shorter than --freshness.stale-after, and "
            "what is fresh is not forgotten; make it longer"
        )
    return Freshness(stale_after, forget_after, values["timestamp_series"])


def _duration(flag: str, written: str) -> int | None:
    if not written:
        return None
    return _longer_than_none(flag, written, "; for never, leave it out")


def _longer_than_none(flag: str, written: str, hint: str = "") -> int:
    try:
        nanoseconds = parse_duration(written)
    except InvalidDuration as error:
        raise StartupError(f"{flag}: {error}") from error
    if not nanoseconds:
        raise StartupError(f"{flag}: must be longer than 0{hint}")
    return nanoseconds
