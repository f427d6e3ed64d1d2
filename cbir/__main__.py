"""`cbir` and `python -m cbir`: where the program starts."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C is quiet also while it is still being imported."""
    try:
        from cbir.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
