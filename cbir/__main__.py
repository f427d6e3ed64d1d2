"""Entry point of `cbir` and `python -m cbir`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C prints no traceback even during the imports."""
    try:
        from cbir.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
