"""What can be copied from pages: how to push to this relay, and how to scrape it, at
the address that who looks at the page sees."""

from __future__ import annotations

import json
import shlex

from flask import request

from pushrelay.rights import Right
from pushrelay.web.pages.layout import the_settings, who_asks


def first_push() -> str:
    """Return a command that pushes to this relay, for a shell."""
    url = f"{_origin()}{_prefix()}/metrics/job/example"
    credentials = ""
    if _needs_token(Right.PUSH):
        credentials = '-H "Authorization: Bearer $PUSHRELAY_TOKEN" '
    return (
        "echo 'example_rows 42' | "
        f"curl {credentials}--data-binary @- {shlex.quote(url)}"
    )


def first_run() -> str:
    """Return a command that runs another one and reports it to this relay."""
    url = shlex.quote(f"{_origin()}{_prefix()}")
    return f"pushrelay exec --url {url} --job example -- sleep 1"


def scrape_config() -> str:
    """Return the part of a configuration of Prometheus that scrapes this relay."""
    scheme, _, host = _origin().partition("://")
    # What is JSON is YAML, too, whatever it holds.
    lines = [
        "scrape_configs:",
        "  - job_name: pushrelay",
        "    honor_labels: true # or else all series are of the job pushrelay",
        f"    scheme: {scheme}",
        f"    metrics_path: {json.dumps(_prefix() + the_settings().telemetry_path)}",
    ]
    if _needs_token(Right.SCRAPE):
        lines += [
            "    authorization: # a token of the scope scrape",
            "      credentials_file: /etc/prometheus/pushrelay-token",
        ]
    lines += ["    static_configs:", f"      - targets: [{json.dumps(host)}]"]
    return "".join(f"{line}\n" for line in lines)


def needs_token() -> bool:
    """Whether these commands work with a token only."""
    return _needs_token(Right.PUSH)


def _origin() -> str:
    settings = the_settings()
    return settings.external_origin or f"{request.scheme}://{request.host}"


def _prefix() -> str:
    settings = the_settings()
    return settings.external_path or settings.route_prefix


def _needs_token(right: Right) -> bool:
    return not who_asks().is_anybody and right not in the_settings().auth_anonymous
