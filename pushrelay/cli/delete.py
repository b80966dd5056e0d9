"""`pushrelay delete`: delete one group, or all that match."""

from __future__ import annotations

from typing import Any

import click

from pushrelay.cli.remote import (
    connected,
    counted,
    dry_run,
    grouping_key,
    grouping_options,
    match,
    older_than,
    query,
    relay_url,
    require_yes,
    show_groups,
    yes,
)


@click.command()
@relay_url
@grouping_options(required=False)
@match
@older_than
@dry_run
@yes
def delete(
    url: str,
    job: str | None,
    labels: tuple[str, ...],
    selectors: tuple[str, ...],
    older_than: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete one group, or all that match.

    --job and --label name the one, --match and --older-than name many. Many groups are
    shown first, and deleted when you agree.
    """
    asked = {"match[]": selectors, "older_than": older_than}
    if job is not None and not (selectors or older_than or dry_run):
        _delete_one(url, job, labels)
    elif job is None and not labels and (selectors or older_than):
        _delete_many(url, asked, dry_run, yes)
    else:
        raise click.UsageError(
            "give either --job, with the other labels of one group, or --match and "
            "--older-than, with --dry-run if you like"
        )


def _delete_one(url: str, job: str, labels: tuple[str, ...]) -> None:
    key = grouping_key(job, labels)
    with connected(url) as relay:
        relay.request("DELETE", f"/metrics/{key.path}")


def _delete_many(url: str, asked: dict[str, Any], dry_run: bool, yes: bool) -> None:
    if not dry_run:
        require_yes(yes)
    with connected(url, many=True) as relay:
        if dry_run or not yes:
            trial = query({**asked, "dry_run": 1})
            found = relay.data("DELETE", f"/api/v1/groups{trial}")
            click.echo(f"{counted(found['count'])} would be deleted")
            show_groups(found["groups"])
            if dry_run or not found["count"]:
                return
            click.confirm("Delete them?", abort=True)
        # What matches by now is deleted, as far as it does.
        done = relay.data("DELETE", f"/api/v1/groups{query(asked)}")
    click.echo(f"deleted {counted(done['count'])}")
