"""The command line's entry point."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["exec"] and not _completes():
        from pushrelay.wrapper.signals import default_interrupt

        # At once: Ctrl-C while the rest is imported is no reason for a traceback.
        default_interrupt()
        # Jobs wait for this one: click alone would take longer than all it does.
        from pushrelay.wrapper.main import main as execute

        execute(sys.argv[2:])
    try:
        from pushrelay.cli.main import cli
    except ModuleNotFoundError as error:
        if str(error.name).startswith("pushrelay"):
            raise
        sys.exit(
            f"pushrelay: {error.name} is not installed, and only pushrelay exec does "
            "without; install pushrelay without --no-deps"
        )

    cli(prog_name="pushrelay")


def _completes() -> bool:
    """Return whether a shell wants click to complete what is typed."""
    wanted = os.environ.get("_PUSHRELAY_COMPLETE", "")
    return wanted.endswith(("_source", "_complete"))


if __name__ == "__main__":
    main()
