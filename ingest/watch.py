"""Noticing that something in a folder has changed, so that a collection can be brought in step with it.

In: folders and archives. Out: whether something has changed since the last time
somebody asked. What it was does not matter: an ingest compares all, in seconds,
and so a burst of changes is one ingest. A folder that is replaced, unmounted or
mounted counts as changed. Where the system cannot watch (too many folders, a
path that is no text), all is looked at again at intervals.
"""

import os
import stat
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cbir.core.disk import expanded
from cbir.core.errors import CbirWarning
from cbir.ingest.sources.choice import IGNORE_FILE
from cbir.ingest.sources.source import SourceError

if TYPE_CHECKING:
    from watchfiles import Change

#: Milliseconds without a change that end a burst, and after which it is acted upon even if it goes on.
QUIET, LONGEST = 1_000, 30_000
#: Seconds between two looks where the system cannot watch.
INTERVAL = 60.0
_TICK = 0.5

_Identity = tuple[int, ...]


def watchable(arguments: Sequence[str | Path]) -> list[Path]:
    """Return the folders and archives among what is ingested, absolute, links resolved.

    Raises
    ------
    SourceError
        Something else is among it, or nothing at all.
    """
    paths = [expanded(argument) for argument in arguments]
    for path in paths:
        if not (path.is_dir() or path.is_file()):
            raise SourceError(f"--watch follows folders and archives, and {path} is neither")
    if not paths:
        raise SourceError("--watch follows folders and archives; name one")
    return [path.resolve() for path in paths]


class Changes:
    """Notices changes from the beginning of a `with` block to its end.

    Parameters
    ----------
    roots : sequence of Path
        Folders, which are watched with all that is in them, and files.
    ignored : sequence of Path
        Folders in which changes are none, such as the one that an ingest itself writes to.
    hidden : bool
        Changes of hidden files count; may be set later.
    """

    def __init__(self, roots: Sequence[Path], ignored: Sequence[Path] = (), *, hidden: bool = False) -> None:
        self._roots = list(roots)
        self._ignored = [path.resolve() for path in ignored]
        self.hidden = hidden
        self._changed, self._ready, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._problem = ""
        self._watching = False
        self._thread = threading.Thread(target=self._follow, name="cbir-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def wait(self, timeout: float, stop: threading.Event | None = None) -> bool:
        """Wait until something has changed since the last call, and then for a moment of quiet.

        Parameters
        ----------
        timeout : float
            Seconds.
        stop : threading.Event, optional
            Ends the waiting.

        Returns
        -------
        bool
            Whether something has changed.
        """
        if self._problem:
            warnings.warn(self._problem, CbirWarning, stacklevel=2)
            self._problem = ""
        deadline = time.monotonic() + timeout
        while not (stop is not None and stop.is_set()):
            if self._changed.wait(min(_TICK, max(0.0, deadline - time.monotonic()))):
                self._changed.clear()
                return True
            if time.monotonic() >= deadline:
                break
        return False

    def _follow(self) -> None:
        """Watch until the end of the block, in a thread; whatever ends a watch begins another."""
        while not self._stop.is_set():
            self._watching = False
            watched = self._settled()
            try:
                self._watch(watched)
            except (OSError, RuntimeError, UnicodeError) as error:
                if not self._watching and self._identities() == watched:
                    self._problem = (
                        f"the system cannot watch all that was named ({error}); it is looked at every {INTERVAL:.0f} s"
                    )
                    self._look_at_intervals()
                    return
                # A changed file whose name is no text, for example.

    def _watch(self, watched: Sequence[_Identity | None]) -> None:
        """Watch the roots that are there until one of them is replaced, goes or comes.

        Raises
        ------
        OSError, RuntimeError, UnicodeError
            As watchfiles gives them.
        """
        from watchfiles import watch

        folders = [root for root in self._roots if root.is_dir()]
        if not folders:
            self._begun()
            while self._identities() == watched and not self._stop.wait(_TICK):
                pass
            return
        changes = watch(
            *folders,
            watch_filter=self._counts,
            debounce=LONGEST,
            step=QUIET,
            rust_timeout=QUIET,
            yield_on_timeout=True,
            stop_event=self._stop,
            ignore_permission_denied=True,
        )
        for burst in changes:
            if not self._watching:
                self._begun()
            if burst:
                self._changed.set()
            if self._identities() != watched:
                return

    def _begun(self) -> None:
        """Note that changes are noticed from now on; what came since an earlier watch ended counts as one."""
        self._watching = True
        if self._ready.is_set():
            self._changed.set()
        self._ready.set()

    def _look_at_intervals(self) -> None:
        self._ready.set()
        while not self._stop.wait(INTERVAL):
            self._changed.set()

    def _counts(self, _: "Change", text: str) -> bool:
        """Tell whether a change may matter to an ingest."""
        path = Path(text)
        if any(path.is_relative_to(folder) for folder in self._ignored):
            return False
        for root in self._roots:
            if path.is_relative_to(root):
                parts = path.relative_to(root).parts
                odd = any(part.startswith(".") for part in parts)
                if self.hidden or not odd or path.name == IGNORE_FILE:
                    return True
        return False

    def _identities(self) -> list[_Identity | None]:
        """Return what tells each root from another in its place; None if there is none."""
        return [_identity(root) for root in self._roots]

    def _settled(self) -> list[_Identity | None]:
        """Return the identities once they stay the same: an archive may be on its way here."""
        before, deadline = self._identities(), time.monotonic() + LONGEST / 1000
        while not self._stop.wait(QUIET / 1000):
            now = self._identities()
            if now == before or time.monotonic() > deadline:
                return now
            before = now
        return before


def _identity(root: Path) -> _Identity | None:
    """Return a folder's device and inode, which change when a disk is mounted; a file's change whenever it does."""
    try:
        status = os.stat(root)  # noqa: PTH116 - the path may be no text
    except OSError:
        return None
    folder = stat.S_ISDIR(status.st_mode)
    return (status.st_dev, status.st_ino, *(() if folder else (status.st_size, status.st_mtime_ns, status.st_ctime_ns)))
