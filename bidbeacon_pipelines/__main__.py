"""Runs the command `bidbeacon` for `python -m bidbeacon_pipelines`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command; exit with 130 after Ctrl-C, even if it comes during imports."""
    try:
        from bidbeacon_pipelines.cli import main as run_command

        run_command()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
