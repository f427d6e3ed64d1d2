"""The desktop of the machine that serves, asked to show where a file is.

In: a file's absolute path. Out: a window of the desktop's file manager, on the server's machine: only for a server that
nobody else can reach. No shell reads the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError
from cbir.core.uris import shown

if TYPE_CHECKING:
    from cbir.serve.config import ServeConfig

#: Seconds within which a desktop says that it cannot.
_SOON = 2.0


class DesktopError(CbirError):
    """The desktop does not show a folder."""


def can_show(config: ServeConfig) -> bool:
    """Tell whether folders can be shown to whoever asks: who sits at this machine, before a desktop.

    With names of `--allow-host`, others may come through a proxy.
    """
    return config.local and not config.hosts and _program() is not None


def show(file: str) -> None:
    """Have the file manager show where a file is.

    Raises
    ------
    DesktopError
        It does not, or there is none.
    """
    program = _program()
    if program is None:
        raise DesktopError("this machine has no desktop that could show a folder; copy the path in its place")
    folder = os.path.dirname(file)  # noqa: PTH120 - a path of any bytes
    command: str | list[str]
    if sys.platform == "win32":
        command = f'"{program}" /select,"{file}"'  # explorer reads it in its own way; no file's name has quotes there
    else:
        command = [program, "-R", file] if sys.platform == "darwin" else [program, folder]
    try:
        process = subprocess.Popen(  # noqa: S603 - the path is one argument, and absolute: no option
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ended = process.wait(_SOON)
    except OSError as error:
        raise DesktopError(f"{program} cannot be started: {error.strerror or error}") from error
    except subprocess.TimeoutExpired:  # some go on for as long as the window is open
        threading.Thread(target=process.wait, daemon=True).start()
        return
    if ended and sys.platform != "win32":  # explorer ends with 1 when all went well
        raise DesktopError(f"the desktop does not show {shown(folder)}; copy the path in its place")


def _program(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what asks this machine's file manager; None without a desktop."""
    if sys.platform == "win32":
        return shutil.which("explorer")
    if sys.platform == "darwin":
        return shutil.which("open")
    has_desktop = bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))
    return shutil.which("xdg-open") if has_desktop else None
