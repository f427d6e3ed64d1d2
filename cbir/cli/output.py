"""What a command prints: documents on standard output, messages on standard error.

Kept apart from `terminal`, which draws tables and bars and takes longer to import.
"""

import json
from typing import Any

import typer


def print_json(document: Any) -> None:
    """Print a JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def note(message: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"cbir: {' '.join(message.split())}", err=True)
