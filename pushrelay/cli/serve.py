"""`pushrelay serve`: run the relay."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushrelay import __version__
from pushrelay.cli.auth_flags import auth_flags, require_tokens
from pushrelay.cli.ignored_flags import ignored_flags, warn_about_ignored_flags
from pushrelay.cli.options import database_url, limits, option, utf8_names
from pushrelay.cli.serve_settings import settings_of
from pushrelay.config import Freshness, Settings
from pushrelay.errors import PushrelayError
from pushrelay.logs import FORMATS, LEVELS, configure_logging

if TYPE_CHECKING:
    from pushrelay.policies import Policies
    from pushrelay.web.web_config import WebConfig

log = logging.getLogger("pushrelay")


@click.command()
@database_url
@option(
    "--database.sync",
    "database_sync",
    type=click.Choice(["full", "normal"]),
    default="full",
    help="full: an acknowledged push survives a power cut. normal: it survives a crash "
    "of the process, and commits are faster.",
)
@option(
    "--web.listen-address",
    "listen_addresses",
    multiple=True,
    default=[":9091"],
    metavar="HOST:PORT",
    help="Address to listen on; may be repeated. An empty host is every address.",
)
@option(
    "--web.systemd-socket/--no-web.systemd-socket",
    "systemd_socket",
    help="Listen on the sockets that systemd passes instead.",
)
@option(
    "--web.telemetry-path",
    "telemetry_path",
    default="/metrics",
    metavar="PATH",
    help="Path under which metrics are exposed. Pushes always go to /metrics/job/....",
)
@option(
    "--web.own-metrics",
    "own_metrics",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    help="Whether the page of --web.telemetry-path also has the metrics of this "
    "process, which are always at /-/metrics. auto: unless the database is on a "
    "server.",
)
@option(
    "--web.external-url",
    "external_url",
    default="",
    metavar="URL",
    help="URL under which the relay is reached from outside.",
)
@option(
    "--web.route-prefix",
    "route_prefix",
    default="",
    metavar="PATH",
    help="Prefix of all paths. Defaults to the path of --web.external-url.",
)
@option(
    "--web.trusted-proxies",
    "trusted_proxies",
    default="",
    metavar="CIDR,...",
    help="Networks of proxies whose X-Forwarded-For, -Proto and -Host count; `unix` "
    "means peers on a Unix socket. None by default.",
)
@option(
    "--web.enable-lifecycle/--no-web.enable-lifecycle",
    "enable_lifecycle",
    help="Let clients end the process with PUT or POST /-/quit, and have --config.file "
    "and --auth.token-file read again with /-/reload.",
)
@option(
    "--web.enable-admin-api/--no-web.enable-admin-api",
    "enable_admin_api",
    help="Let clients delete all groups with PUT /api/v1/admin/wipe, and import "
    "groups.",
)
@option(
    "--web.config.file",
    "web_config_file",
    default="",
    metavar="FILE",
    help="TLS, users, headers and the rate of requests, in YAML, as for other servers "
    "of Prometheus. Read again when it changes.",
)
@utf8_names
@option(
    "--config.file",
    "config_file",
    default="",
    metavar="FILE",
    help="Job rules, in TOML. Read again on SIGHUP and by /-/reload.",
)
@option(
    "--freshness.stale-after",
    "stale_after",
    default="",
    metavar="DURATION",
    help="When what was pushed goes stale, if neither the push nor a rule says so: "
    "26h, 1h30m. Never by default.",
)
@option(
    "--freshness.forget-after",
    "forget_after",
    default="",
    metavar="DURATION",
    help="When a group is forgotten after its last push, if no rule says so. Never by "
    "default.",
)
@option(
    "--freshness.timestamp-series",
    "timestamp_series",
    multiple=True,
    default=list(Freshness().timestamp_series),
    metavar="PATTERN",
    help="Names of gauges and untyped families that are points in time, and are served "
    "even when stale; may be repeated.",
)
@option(
    "--runs.keep",
    "runs_keep",
    type=click.IntRange(min=1),
    default=Settings().runs_keep,
    metavar="N",
    help="How many runs of a job are kept with their output: the last ones to start.",
)
@option(
    "--runs.max-age",
    "runs_max_age",
    default="90d",
    metavar="DURATION",
    help="How long they are kept.",
)
@option(
    "--log.level",
    "log_level",
    type=click.Choice(list(LEVELS)),
    default="info",
    help="Least important messages to log.",
)
@option(
    "--log.format",
    "log_format",
    type=click.Choice(list(FORMATS)),
    default="logfmt",
    help="How log lines are written.",
)
@option(
    "--log.writes",
    "log_writes",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    help="Whether each write is logged: who sent it, from where, to which group, with "
    "what outcome. auto: where clients are authenticated.",
)
@auth_flags
@limits
@ignored_flags
@click.pass_context
def serve(context: click.Context, /, **values: Any) -> None:
    """Run the relay. It takes pushes, keeps them and shows them to scrapers.

    A database in a file is created and migrated as needed; one on a server is left to
    `pushrelay db upgrade`. Flags have the names of the Pushgateway's where they mean
    the same.
    """
    configure_logging(values["log_level"], values["log_format"])
    try:
        settings = settings_of(context.command, values)
        policies = _policies(settings)
        require_tokens(settings)
        web_config = _web_config(settings)
        warn_about_ignored_flags(context)
        _prepare_database(settings)
        _run(settings, policies, web_config)
    except PushrelayError as error:
        raise click.ClickException(str(error)) from error


def _prepare_database(settings: Settings) -> None:
    from pushrelay.store.engine import open_database
    from pushrelay.store.migrate import require_head, upgrade

    database = open_database(settings.database_url, settings.database_sync)
    created = database.create()
    if database.is_shared:
        # Others may be at work with the schema that it has.
        require_head(database)
    else:
        upgrade(database)
    # A worker that inherited open connections would share them with this process.
    database.close()
    log.info(
        "starting",
        extra={"fields": {"version": __version__, "database": database.name}},
    )
    if created:
        log.warning("created a new, empty database: %s", database.name)


def _policies(settings: Settings) -> Policies:
    from pushrelay.job_rules import read_rules
    from pushrelay.policies import Policies

    path = settings.config_file
    return Policies(settings.freshness, read_rules(Path(path)) if path else None)


def _web_config(settings: Settings) -> WebConfig:
    from pushrelay.web.web_config import WebConfig, read_web_config

    path = settings.web_config_file
    return read_web_config(Path(path)) if path else WebConfig()


def _run(settings: Settings, policies: Policies, web_config: WebConfig) -> None:
    from pushrelay.web.server import serve as run

    run(settings, policies, web_config)
