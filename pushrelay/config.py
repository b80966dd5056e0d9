"""All settings, read once into frozen objects; nothing else reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024
_GIB = 1024 * MIB
_DAY = 24 * 3600 * 10**9

_RENDERED_TO_BODY = 4

OWN_METRICS_PATH = "/-/metrics"
"""Where a relay shows its own metrics, and nothing of what is stored."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take, in bytes, series, groups, labels and seconds, and what
    may be stored.

    stored_*: of all groups together. job_*: of those of one job. database_bytes: of the
    database on its disk. run_output_bytes: of each output of a run, its end.
    requests to queued_bytes: of all clients together.
    """

    body_bytes: int = 64 * MIB
    series: int = 1_000_000
    groups: int = 10_000
    labels: int = 256
    label_value_bytes: int = 64 * 1024
    target_bytes: int = MIB
    idle_seconds: float = 30.0
    request_seconds: float = 300.0
    write_seconds: float = 15.0
    stored_groups: int = 500_000
    stored_series: int = 10_000_000
    stored_bytes: int = 2 * _GIB
    job_groups: int = 500_000
    job_series: int = 10_000_000
    database_bytes: int = 100 * _GIB
    run_output_bytes: int = 10_000
    requests: int = 1000
    connections: int = 10_000
    slow_readers: int = 128
    incoming_bytes: int = 512 * MIB
    queued_writes: int = 4000
    queued_bytes: int = 256 * MIB

    @property
    def rendered_bytes(self) -> int:
        """What a push may grow to, and a group, as each line bears its labels."""
        return _RENDERED_TO_BODY * self.body_bytes


@dataclass(frozen=True, slots=True)
class Freshness:
    """When groups go stale and are forgotten if nothing else says so.

    stale_after, forget_after: nanoseconds; None means never.
    timestamp_series: names of families that are points in time and stay when they go
        stale, with `*` and `?` as in a shell.
    """

    stale_after: int | None = None
    forget_after: int | None = None
    timestamp_series: tuple[str, ...] = (
        "*_timestamp_seconds",
        "*_last_success*",
        "*_unixtime",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """What `pushrelay serve` was told.

    listen_addresses: `host:port` each; an empty host is every address.
    route_prefix: normalised, without a slash at its end; empty for none.
    external_path: the path of the external URL, likewise.
    external_origin: its scheme, host and port as browsers write them; empty for none.
    trusted_proxies: networks, addresses and `unix`: whose word on clients counts.
    own_metrics: whether the page of what is stored has the relay's own metrics, too:
        `on`, `off`, or `auto`, which is on unless the database is shared.
    runs_keep: how many runs of a job are kept with all that is known of them.
    runs_max_age: for how long, nanoseconds.
    web_config_file: path of the file with TLS, users and headers; empty for none.
    auth_required: whether all are asked who they are, whatever else is given.
    auth_token_file: path of a file of tokens; empty for none. With one, all are asked.
    auth_anonymous: the rights (`rights.Right`) that need no answer.
    log_writes: whether each write has a line in the log: `on`, `off`, or `auto`, which
        is on where people are asked who they are.
    flags: every flag of the command line with its value as text.
    """

    database_url: str = "sqlite:///data/pushrelay.db"
    database_sync: str = "full"
    listen_addresses: tuple[str, ...] = (":9091",)
    systemd_socket: bool = False
    telemetry_path: str = "/metrics"
    own_metrics: str = "auto"
    route_prefix: str = ""
    external_path: str = ""
    external_origin: str = ""
    trusted_proxies: tuple[str, ...] = ()
    enable_lifecycle: bool = False
    enable_admin_api: bool = False
    utf8_names: bool = False
    limits: Limits = Limits()
    freshness: Freshness = Freshness()
    runs_keep: int = 1000
    runs_max_age: int = 90 * _DAY
    config_file: str = ""
    web_config_file: str = ""
    auth_required: bool = False
    auth_token_file: str = ""
    auth_anonymous: tuple[str, ...] = ()
    log_writes: str = "auto"
    flags: Mapping[str, str] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether everybody is asked who they are, even without users."""
        return self.auth_required or bool(self.auth_token_file)


def normalise_prefix(prefix: str) -> str:
    """Return `prefix` with a slash before it and none behind it; "" for "/" or ""."""
    stripped = prefix.strip("/")
    return f"/{stripped}" if stripped else ""
