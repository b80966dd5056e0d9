"""The command line's entry point."""

from __future__ import annotations

from pushrelay.cli.main import cli


def main() -> None:
    """Run the command that the arguments name."""
    cli(prog_name="pushrelay")


if __name__ == "__main__":
    main()
