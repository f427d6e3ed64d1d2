"""Keep a collection in step with folders that change."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from cbir.core.settings import read_settings
from cbir.verbs.ingest import ingest

if TYPE_CHECKING:
    from cbir.ingest.report import Report

#: Seconds after which all is looked at although no change was noticed: a network drive may tell of none.
_AT_LEAST_EVERY = 3600.0
#: Seconds until an ingest that failed is tried again, and the most that they grow to.
_RETRY_AFTER, _RETRY_AT_MOST = 10.0, 600.0


def watch(
    source: str | Path | Sequence[str | Path], *, stop: Event | None = None, **options: Any
) -> Generator[Report | Exception, None, None]:
    """Ingest folders or archives, and again whenever something in them has changed.

    What is gone is removed from the collection, as with `prune`: nothing is if a disk seems not to be mounted. Changes
    that come together are one ingest, which begins when there was none for a second, or after half a minute.

    Parameters
    ----------
    source : str, Path, or sequence of them
        Folders and archives, as for `cbir.ingest`.
    stop : threading.Event, optional
        Ends the watching, once set. So does Ctrl-C.
    **options
        As for `cbir.ingest`; `retrain`, `model` and `force` count for the first ingest alone.

    Yields
    ------
    Report or Exception
        What each ingest did, or why it failed: then it is tried again, later and later, and after the next change.

    Raises
    ------
    CbirError
        What was named cannot be watched, or the first ingest failed.

    Examples
    --------
    >>> for done in cbir.watch("photos", collection="photos"):  # doctest: +SKIP
    ...     print(done)
    """
    from cbir.ingest.watch import Changes, watchable

    sources = [source] if isinstance(source, str | Path) else list(source)
    hidden = bool(options.get("hidden") or options.get("include"))
    with Changes(watchable(sources), [read_settings().home], hidden=hidden) as changes:
        first = ingest(source, **{**options, "prune": True})
        changes.hidden |= any(chosen.keys() & {"hidden", "include"} for chosen in first.choices.values())
        done: Report | Exception = first
        later = {**options, "prune": True, "retrain": False, "model": None, "force": False}
        failures = 0
        while True:
            yield done
            retry = min(_RETRY_AFTER * 2 ** (failures - 1), _RETRY_AT_MOST)
            try:
                changes.wait(retry if failures else _AT_LEAST_EVERY, stop)
            except KeyboardInterrupt:  # nothing is being stored
                return
            if stop is not None and stop.is_set():
                return
            try:
                done, failures = ingest(source, **later), 0
            except Exception as error:  # noqa: BLE001 - a server that is away for the night must not end the watching
                done, failures = error, failures + 1
