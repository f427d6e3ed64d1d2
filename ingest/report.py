"""What an ingest did: a summary, and a file with a line for each picture that a person may want to look into.

In: what the steps of an ingest tell the log. Out: a `Report`, and a file of JSON
lines, which is written as the work goes on, so that memory does not grow with
the number of files that are skipped.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TextIO

from cbir.core.atomic import atomic_file
from cbir.core.stored import json_text
from cbir.ingest.sources.source import LeftOut
from cbir.model.bundle import Bundle

#: The file of an ingest's lines.
FILE = "ingest-report.jsonl"


@dataclass(frozen=True)
class Report:
    """What an ingest did.

    `found` is the sum of `ingested`, `unchanged`, `updated`, `moved`, `copies`, `skipped`, and what was left out.

    Attributes
    ----------
    collection : str
    points : int
        In the collection now: different contents.
    found : int
        Files or images that the source has met.
    ingested : int
        Images that were encoded and stored.
    unchanged : int
        Stored images with nothing to change.
    updated : int
        Stored images whose payload alone was replaced.
    relabelled, unlabelled : int
        Of the updated ones: unchanged pictures whose label is another one now, or gone, or new; and those that lost it.
    moved : int
        Files whose content was stored under another name or in another folder, where it is no more.
    copies : int
        Files whose content was stored already, and is there too: the point got one more place.
    conflicting : int
        Of the copies: those with another label than the picture that they are copies of, which keeps its own.
    skipped : int
        Images that cannot be read, and folders that cannot be listed.
    left_out : list of LeftOut
        What the source does not take, and why.
    choices : Mapping
        Path of each folder and archive to the options that were chosen for it, now or at an earlier ingest: those of
        `cbir.ingest.sources.choice.Choice`, where they differ from the usual.
    gone : int
        Stored places without a file, that are still stored.
    unchosen : int
        Stored places whose file is there, and left out now; they are still stored.
    pruned : int
        Those that were removed.
    warned : int
        Of the ingested ones: pictures that were read with a warning, such as that their end is missing.
    unreadable, warnings : list of (uri, reason)
        The first of what was skipped, and of what was read with a warning; the file has all.
    file : Path or None
        A line for each image that was skipped, read with a warning, moved, a copy, gone, unchosen or pruned; None if
        there is none.
    model : Bundle
    trained : bool
        By this run.
    usual_for : str
        What the pictures are like, where that decided which encoder it is; else empty.
    seconds : dict
        `train`, `compare` (listing and comparing), `encode`, `upsert`, `index`.
    """

    collection: str
    points: int
    found: int
    ingested: int
    unchanged: int
    updated: int
    relabelled: int
    unlabelled: int
    moved: int
    copies: int
    conflicting: int
    skipped: int
    left_out: list[LeftOut]
    choices: Mapping[str, Mapping[str, Any]]
    gone: int
    unchosen: int
    pruned: int
    warned: int
    unreadable: list[tuple[str, str]]
    warnings: list[tuple[str, str]]
    file: Path | None
    model: Bundle
    trained: bool
    usual_for: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def accounted(self) -> int:
        """The sum that `found` has to be."""
        done = self.ingested + self.unchanged + self.updated + self.moved + self.copies
        return done + self.skipped + self.left_out_count

    @property
    def left_out_count(self) -> int:
        """Number of files and folders that were left out."""
        return sum(left.count for left in self.left_out)


class Log(Protocol):
    """Told of single pictures."""

    def __call__(self, what: str, **fields: Any) -> None:
        """Note what something was: `skipped`, `warning`, `moved`, `copy`, `gone`, `unchosen`, `pruned`, `left out`."""
        ...


def silent_log(what: str, **fields: Any) -> None:
    """Ignore what is told."""


class LogFile:
    """A log that writes a line for each picture; to be used in a `with` block.

    At its end, also after an error, the file replaces that of an earlier ingest. Without lines there is no file.

    Parameters
    ----------
    folder : Path or None
        Where the file is, made if need be; None: nothing is written.
    name : str
        The file's.

    Attributes
    ----------
    path : Path or None
        The file, once it is complete and has lines.
    """

    def __init__(self, folder: Path | None, name: str = FILE) -> None:
        self.path: Path | None = None
        self._file = None if folder is None else folder / name
        self._writing = ExitStack()
        self._lines: TextIO | None = None

    def __call__(self, what: str, **fields: Any) -> None:
        """Write a line."""
        if self._file is None:
            return
        if self._lines is None:
            partial = self._writing.enter_context(atomic_file(self._file))
            self._lines = self._writing.enter_context(partial.open("w", encoding="utf-8"))
        self._lines.write(json_text({"what": what, **fields}) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writing.close()
        if self._lines is not None:
            self.path = self._file
        elif self._file is not None:
            self._file.unlink(missing_ok=True)
