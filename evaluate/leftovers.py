"""Stored runs, comparisons and reports of collections that are gone, or that another encoder has filled since.

In: the folder of runs, and which collections there are. Out: what can be removed. A run says in `scores.json` what it
measured; a folder without one was left by a process that was stopped. What is neither is somebody else's, and stays.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cbir.core.disk import entries, size_on_disk
from cbir.core.leftover import Leftover, partials
from cbir.core.names import folded
from cbir.core.partial import abandoned
from cbir.core.stored import read_object

#: Folded name of a collection to the fingerprint of the encoder that filled it; None: not known, it may be any.
Filled = Mapping[str, frozenset[str] | None]

#: The folder of what an ingest reports, `ingest-NAME`, and its files.
_REPORTED, _REPORTS = "ingest-", ("ingest-report.jsonl", "unreadable.jsonl")
_COMPARISON = re.compile(r"compare-(.+)-[0-9a-f]{12}")
#: Characters that are left at least of a source's name that is too long to stand in its collections' names.
_UNCUT = 20
_MADE_BY_RUNS = ("*.npz", "*.png", "row.json", "*/*.npz", "table.md")


def leftovers(runs: Path, filled: Filled) -> Iterator[Leftover]:
    """Yield the runs that no collection can be read by, or compared with.

    Parameters
    ----------
    runs : Path
    filled : Mapping
    """
    yield from partials(runs)
    for folder in entries(runs):
        ours = folder.is_dir() and not folder.is_symlink() and not folder.name.startswith(".")
        if ours and (reason := _why_unused(folder, filled)):
            yield Leftover("run", folder, size_on_disk(folder), reason)
        elif ours:
            for within in (folder, *sorted(folder.glob("*/"))):
                yield from partials(within)


def _why_unused(folder: Path, filled: Filled) -> str:
    """Return why a run is of no use; empty if it is of use, or not a run."""
    if compared := _COMPARISON.fullmatch(folder.name):
        source = compared[1]
        beginning = f"{folded(source)}-"[:_UNCUT]
        return "" if any(name.startswith(beginning) for name in filled) else f"no collection '{source}-...' is left"
    if folder.name.startswith(_REPORTED) and any((folder / name).is_file() for name in _REPORTS):
        name = folder.name.removeprefix(_REPORTED)
        return "" if folded(name) in filled else f"collection '{name}' is gone"
    measured = _measured(folder)
    if measured is None:
        ours = any(next(folder.glob(pattern), None) for pattern in _MADE_BY_RUNS)
        return "incomplete: left by a process that was stopped" if ours and abandoned(folder) else ""
    if not measured:
        return ""
    gone = sorted(name for name in measured if folded(name) not in filled)
    if len(gone) == len(measured):
        return f"collection '{gone[0]}' is gone"
    changed = [
        name for name, fingerprint in measured.items() if not _is_filled_by(filled.get(folded(name)), fingerprint)
    ]
    if len({*gone, *changed}) == len(measured):
        return f"collection '{next(name for name in changed if name not in gone)}' was filled by another encoder since"
    return ""


def _is_filled_by(fingerprints: frozenset[str] | None, fingerprint: str | None) -> bool:
    return fingerprints is None or fingerprint is None or fingerprint in fingerprints


def _measured(folder: Path) -> dict[str, str | None] | None:
    """Return the collections that a run measured, with the encoder of each; empty if it does not say, None if none."""
    try:
        stored = read_object(folder / "scores.json")
        facts = stored.get("collections") or [stored]
        return {str(each["collection"]): each.get("fingerprint") for each in facts}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
