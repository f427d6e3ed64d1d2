"""A file system that ignores case and Unicode form, as those of macOS and Windows do, made of one that does not.

What opens, makes, renames or removes something below a folder finds what is there under any spelling of its name.
Only Python's own calls are led there: what Qdrant Edge opens must be spelled as it is listed, which is what is tested.
"""

import builtins
import functools
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cbir.core.names import same_name

#: Of each function, how many of its first arguments are paths.
_FUNCTIONS = {
    **dict.fromkeys(("stat", "lstat", "open", "mkdir", "rmdir", "unlink", "remove", "listdir", "scandir", "utime"), 1),
    **dict.fromkeys(("rename", "replace", "link", "symlink"), 2),
}


def ignore_case(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all below an existing folder be found under any spelling, until the test ends."""
    listed = os.listdir

    def found(path: Any) -> Any:
        if not isinstance(path, (str, os.PathLike)):
            return path
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links stay
        if not absolute.is_relative_to(root):
            return path
        place = str(root)
        for part in absolute.relative_to(root).parts:
            try:
                there = listed(place)
            except OSError:
                there = []
            place = os.path.join(place, same_name(part, there) or part)  # noqa: PTH118
        return place

    def led(function: Callable[..., Any], paths: int) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            if keywords.get("dir_fd") is not None:
                return function(*arguments, **keywords)
            return function(*map(found, arguments[:paths]), *arguments[paths:], **keywords)

        return call

    for name, paths in _FUNCTIONS.items():
        monkeypatch.setattr(os, name, led(getattr(os, name), paths))
    for module in (io, builtins):
        monkeypatch.setattr(module, "open", led(module.open, 1))
