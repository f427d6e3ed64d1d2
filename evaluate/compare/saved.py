"""Table and pictures of a comparison are copied to where somebody wants them.

In: a comparison of either kind, and a folder. Out: the files in it.
"""

import shutil
from pathlib import Path
from typing import Protocol

from cbir.core.disk import disk_errors
from cbir.core.errors import CbirError


class Written(Protocol):
    """What is written to disk."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All that people want to see of it."""
        ...


def copy_comparison(comparison: Written, folder: Path) -> None:
    """Copy table and pictures to a folder; CbirError if it is a file."""
    if folder.exists() and not folder.is_dir():
        raise CbirError(f"{folder} is a file; name a folder to copy table and pictures to")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in comparison.files:
            shutil.copyfile(path, folder / path.name)
