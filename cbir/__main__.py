"""Entry point of `cbir` and `python -m cbir`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C and SIGTERM print no traceback even during the imports."""
    try:
        from cbir.cli import main as run

        run()
    except KeyboardInterrupt as stop:
        sys.exit(getattr(stop, "code", 130))


if __name__ == "__main__":
    main()
