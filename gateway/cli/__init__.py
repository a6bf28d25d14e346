"""The `watchgate` command: one file a command. Nothing heavy is imported before a command needs it."""

from __future__ import annotations


def main() -> None:
    """Runs the command line. Exit status: 0 done, 1 it ran and the answer is no, 2 a mistake in a file or a command."""
    from gateway.cli.app import app

    app(prog_name="watchgate")
