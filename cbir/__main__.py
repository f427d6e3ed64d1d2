"""`python -m cbir`."""

from cbir.cli import main

main()
