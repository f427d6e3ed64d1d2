"""A source's features and payloads become files, for other tools to store: read, encode, write.

In: a source under the name that a collection knows it by, and the model that fills that. Out: Parquet files of the
points that an ingest would store, with the same ids, and a file with a line for each picture that was skipped or is a
copy. Nothing is asked of the collection, and nothing stored. What an earlier run wrote into the folder is compared with
the source as `cbir.ingest.sync` compares a collection: what is unchanged stays, and is not read again.
"""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from cbir.collection.metadata import Metadata
from cbir.collection.point import Payload, same_payload
from cbir.core.progress import Progress, silent
from cbir.ingest.claim import Claim, State
from cbir.ingest.described import fields_of, place_of
from cbir.ingest.encode import Encoded, encode
from cbir.ingest.feature_files import FeatureFiles, held
from cbir.ingest.feature_folder import set_done
from cbir.ingest.feature_parts import FeatureParts
from cbir.ingest.gone import Gone
from cbir.ingest.places import Places
from cbir.ingest.read import read
from cbir.ingest.report import LogFile
from cbir.ingest.settle import suspicious
from cbir.ingest.sources.source import Item, LeftOut, Source, SourceError, nothing_to_read
from cbir.ingest.store import MOST_NAMED, Stored, counted, new_payloads, note_stored, same_failure, skipped
from cbir.ingest.sync import Status, compare
from cbir.model.bundle import Bundle

#: The file of lines, beside the folders of Parquet files.
FILE = "_embed-report.jsonl"


@dataclass(frozen=True)
class Written:
    """What became of a source's pictures; `found` is the sum of `points`, `copies`, `skipped` and what was left out.

    Attributes
    ----------
    points : int
        Different contents, whose features are in the folder.
    kept : int
        Of the points: those that an earlier run wrote, and of which nothing has changed.
    taken_out : int
        Points of an earlier run whose picture is gone, or another one now.
    found : int
        Files or images that the source has met.
    copies : int
        Files of the same content as another, whose point is the first one's.
    skipped : int
        Images that cannot be read, and folders that cannot be listed.
    warned : int
        Of the points that were not kept: pictures that were read with a warning.
    unreadable, warnings : list of (uri, reason)
        The first of what was skipped, and of what was read with a warning; the file has all.
    left_out : list of LeftOut
        What the source does not take, and why.
    sets : list of (str, int, list of str)
        Folder, number of points and names of the fields of each set of fields that points in the folder have.
    fields_left_out : dict
        Names of fields that no column can hold to the number of points that lack them.
    has_lines : bool
        There is a `FILE`.
    seconds : float
    """

    points: int
    kept: int
    taken_out: int
    found: int
    copies: int
    skipped: int
    warned: int
    unreadable: list[tuple[str, str]]
    warnings: list[tuple[str, str]]
    left_out: list[LeftOut]
    sets: list[tuple[str, int, list[str]]]
    fields_left_out: dict[str, int]
    has_lines: bool
    seconds: float


def embed(source: Source, bundle: Bundle, folder: Path, metadata: Metadata, progress: Progress = silent) -> Written:
    """Write the features of a source's pictures.

    Parameters
    ----------
    source : Source
        Under the names that the collection knows its roots by.
    bundle : Bundle
    folder : Path
        One that is held (`cbir.ingest.feature_folder`), with what an earlier run wrote there.
    metadata : Metadata
        The collection's.
    progress : Progress
        Stages `compare` and `embed`.

    Raises
    ------
    SourceError
        No picture can be read, or so many are gone that a disk may not be mounted.
    OSError
        The disk is full, or fails.
    """
    encoder, clock = bundle.encoder(), time.perf_counter()
    stored, done, lost = Stored(), 0, Counter[str]()
    with Earlier(FeatureParts(folder), progress) as places:
        statuses = compare(source.items(), places, total=len(source), progress=progress)
        _look_again(source.items(), statuses, places, lost)
        outdated = _outdated(source, places, metadata)
        kept, total = statuses.count(Status.UNCHANGED), len(statuses) - statuses.count(Status.UNCHANGED)
        if total or len(outdated):
            set_done(folder, False)
        places.take_out(outdated)
        work = (
            (item, Status.READ)
            for item, status in zip(source.items(), statuses, strict=True)
            if status != Status.UNCHANGED
        )
        with (
            FeatureFiles(folder, encoder.dimension) as files,
            LogFile(folder, FILE) as log,
            closing(read(work, encoder.preprocessing, places)) as pictures,
        ):
            for batch in encode(pictures, encoder):
                stored += counted(batch, places, log, None)
                if batch.ids:
                    nothing = [None] * len(batch.ids)
                    files.write(batch.ids, batch.features, new_payloads(batch, nothing))
                    stored += note_stored(batch, places, [()] * len(batch.ids), log=log)
                stored += _copies(batch, places, log)
                done += len(batch)
                progress("embed", done, total)
            if not stored.ingested and not kept:
                raise SourceError(nothing_to_read(source, len(source)))
            for name, uri, first_source, first_uri in places.copies_added():
                log("copy", source=name, uri=uri, first_source=first_source, first_uri=first_uri)
            problems = 0
            for uri, reason in source.problems:
                problems += 1
                log("skipped", uri=uri, reason=reason)
    set_done(folder, True)
    return Written(
        points=kept + stored.ingested,
        kept=kept,
        taken_out=len(outdated),
        found=source.found,
        copies=stored.copies,
        skipped=stored.skipped + problems,
        warned=stored.warned,
        unreadable=[*stored.unreadable, *islice(source.problems, MOST_NAMED)][:MOST_NAMED],
        warnings=list(stored.warnings),
        left_out=list(source.left_out),
        sets=files.sets,
        fields_left_out=dict(lost + files.left_out),
        has_lines=log.path is not None,
        seconds=time.perf_counter() - clock,
    )


class Earlier(Places):
    """What an earlier run wrote, as a table of places; a content's number is that of its point in the files."""

    def __init__(self, parts: FeatureParts, progress: Progress = silent) -> None:
        super().__init__()
        self._parts = parts
        self._fill(parts, progress)

    def payloads(self, claims: Iterable[Claim]) -> dict[str, Payload]:
        """Return the payloads of the points of claims, by their ids."""
        return self._parts.payloads_of({claim.id: claim.content for claim in claims})

    def take_out(self, numbers: np.ndarray) -> None:
        """Forget points, and remove them from the files; the numbers of the others are no longer those of points."""
        if len(numbers):
            with self.together():
                for number in numbers.tolist():
                    self.remove_content(number)
            self._parts.take_out(numbers)


def _look_again(items: Iterable[Item], statuses: bytearray, places: Earlier, lost: Counter[str]) -> None:
    """Have what is described anew read again, whose row is outdated, but for fields that no column can hold."""
    for number, item in enumerate(items):
        if statuses[number] != Status.DESCRIBED:
            continue
        claims, fields = places.at(*item.place), fields_of(item)
        kinds = held(fields)
        payload = places.payloads(claims[:1]).get(claims[0].id)
        if same_payload(payload, {name: value for name, value in fields.items() if name in kinds}):
            statuses[number] = Status.UNCHANGED
            lost.update(fields.keys() - kinds.keys())
        else:
            statuses[number] = Status.READ
            places.note((claim, State.UNSURE) for claim in claims)


def _outdated(source: Source, places: Earlier, metadata: Metadata) -> np.ndarray:
    """Return the numbers of the points whose picture is gone, or may be another one; sorted.

    Raises
    ------
    SourceError
        So many are gone that a disk may not be mounted.
    """
    gone, numbers, missing = Gone(source, metadata, complete=True), list[int](), Counter[str]()
    for number in places.with_state(State.UNSEEN) if gone.complete else ():
        (claim,) = places.of_content(number)
        if claim.place.source in gone.names and gone.is_gone(claim.place):
            numbers.append(number)
            missing[claim.place.source] += 1
    for name, count in missing.items():
        if reason := suspicious(source.roots.get(name), count, 0, places.stored_places(name), source.count(name)):
            raise SourceError(f"nothing was written: {reason}. If that is right, name a new folder for the features")
    for state in (State.UNSURE, State.DISPLACED):
        numbers += places.with_state(state)
    return np.array(sorted(numbers), np.int64)


def _copies(batch: Encoded, places: Places, log: LogFile) -> Stored:
    """Note the files of a batch whose content was met before."""
    done = Stored()
    for known in batch.batch.known:
        content = places.content(known.sha256)
        if content is None or content.problem is not None:
            done += skipped(same_failure(known, content), log)
        else:
            places.add(content.number, place_of(known.item), first=False, copy=True)
            done += Stored(copies=1)
    return done
