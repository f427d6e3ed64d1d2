"""A source's features and payloads become files, for other tools to store: read, encode, write.

In: a source under the name that a collection knows it by, and the model that fills that. Out: Parquet files of the
points that an ingest would store, with the same ids, and a file with a line for each picture that was skipped or is a
copy. Nothing is asked of the collection, and nothing stored.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cbir.core.progress import Progress, silent
from cbir.ingest.described import place_of
from cbir.ingest.encode import Encoded, encode
from cbir.ingest.feature_files import FeatureFiles
from cbir.ingest.places import Places
from cbir.ingest.read import read
from cbir.ingest.report import LogFile
from cbir.ingest.sources.source import LeftOut, Source, SourceError, nothing_to_read
from cbir.ingest.store import MOST_NAMED, Stored, counted, new_payloads, note_stored, same_failure, skipped
from cbir.ingest.sync import Status
from cbir.model.bundle import Bundle

#: The file of lines, beside the folders of Parquet files.
FILE = "embed-report.jsonl"


@dataclass(frozen=True)
class Written:
    """What became of a source's pictures; `found` is the sum of `points`, `copies`, `skipped` and what was left out.

    Attributes
    ----------
    points : int
        Written: different contents.
    found : int
        Files or images that the source has met.
    copies : int
        Files of the same content as another, whose point is the first one's.
    skipped : int
        Images that cannot be read, and folders that cannot be listed.
    warned : int
        Of the points: pictures that were read with a warning.
    unreadable, warnings : list of (uri, reason)
        The first of what was skipped, and of what was read with a warning; the file has all.
    left_out : list of LeftOut
        What the source does not take, and why.
    sets : list of (str, int, list of str)
        Folder, number of points and names of the fields of each set of fields that points have.
    fields_left_out : dict
        Names of fields that no column can hold to the number of points that lack them.
    has_lines : bool
        There is a `FILE`.
    seconds : float
    """

    points: int
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


def embed(source: Source, bundle: Bundle, folder: Path, progress: Progress = silent) -> Written:
    """Write the features of a source's pictures.

    Parameters
    ----------
    source : Source
    bundle : Bundle
    folder : Path
        An empty one.
    progress : Progress
        Stage `embed`.

    Raises
    ------
    SourceError
        No picture can be read.
    OSError
        The disk is full, or fails.
    """
    encoder, clock, total = bundle.encoder(), time.perf_counter(), len(source)
    stored, done = Stored(), 0
    work = ((item, Status.READ) for item in source.items())
    with (
        FeatureFiles(folder, encoder.dimension) as files,
        LogFile(folder, FILE) as log,
        Places.empty() as places,
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
        if not stored.ingested:
            raise SourceError(nothing_to_read(source, total))
        for name, uri, first_source, first_uri in places.copies_added():
            log("copy", source=name, uri=uri, first_source=first_source, first_uri=first_uri)
        problems = 0
        for uri, reason in source.problems:
            problems += 1
            log("skipped", uri=uri, reason=reason)
    return Written(
        points=stored.ingested,
        found=source.found,
        copies=stored.copies,
        skipped=stored.skipped + problems,
        warned=stored.warned,
        unreadable=[*stored.unreadable, *islice(source.problems, MOST_NAMED)][:MOST_NAMED],
        warnings=list(stored.warnings),
        left_out=list(source.left_out),
        sets=files.sets,
        fields_left_out=dict(files.left_out),
        has_lines=log.path is not None,
        seconds=time.perf_counter() - clock,
    )


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
