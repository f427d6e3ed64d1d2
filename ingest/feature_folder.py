"""A folder of features over several runs: whose features they are, and whether a run has completed them.

In: a path, and which encoder fills it for which collection. Out: the folder, held by this run alone. Names of what is
not features begin with `_` or `.`, which Spark, pandas and others do not read.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cbir.core.atomic import write_atomic
from cbir.core.errors import CbirError
from cbir.core.partial import alone, is_partial
from cbir.core.stored import a_text, a_whole_number, json_text, read_object, required
from cbir.ingest.feature_parts import sweep

#: Whose features these are.
MARK = "_cbir.json"
#: An empty file, as Hadoop's and Spark's jobs leave it: all is there.
DONE = "_SUCCESS"

_FORMAT = 1


@contextlib.contextmanager
def feature_folder(folder: Path, collection: str, fingerprint: str) -> Iterator[None]:
    """Hold a folder of features, which is made if need be; nothing is left of it if nothing is written.

    Parameters
    ----------
    folder : Path
    collection : str
        What an ingest would store in it is written.
    fingerprint : str
        Of the encoder with its preprocessing.

    Raises
    ------
    CbirError
        It holds anything else, features of another encoder or collection, or another process writes there.
    OSError
        As the system gives it.
    """
    made = not folder.exists()
    if not made and not folder.is_dir():
        raise CbirError(f"{folder} is a file: name a new folder")
    folder.mkdir(exist_ok=True)
    try:
        with alone(folder):
            is_new = _check(folder, collection, fingerprint)
            sweep(folder)
            if is_new:
                mark = {"format": _FORMAT, "collection": collection, "fingerprint": fingerprint}
                write_atomic(folder / MARK, json_text(mark, indent=2).encode() + b"\n")
            try:
                yield
            finally:
                sweep(folder)
                left = list(folder.iterdir())
                if is_new and all(each.name.startswith("_") for each in left):
                    for each in left:
                        each.unlink()
                    if made:
                        folder.rmdir()
    except BlockingIOError:
        raise CbirError(f"another process writes features to {folder}; wait until it ends") from None


def set_done(folder: Path, done: bool) -> None:
    """Say that all features are there, or no longer."""
    if done:
        write_atomic(folder / DONE, b"")
    else:
        (folder / DONE).unlink(missing_ok=True)


def _check(folder: Path, collection: str, fingerprint: str) -> bool:
    """Return whether the folder is empty; CbirError if its features are not those of this encoder and collection."""
    mark = folder / MARK
    if not mark.exists():
        if any(not is_partial(each) for each in folder.iterdir()):
            raise CbirError(f"{folder} is there already, and holds no features of cbir embed: name a new folder")
        return True
    try:
        stored = read_object(mark)
        number = a_whole_number(required(stored, "format"), "format")
        if number <= _FORMAT:
            of = a_text(required(stored, "collection"), "collection")
            with_ = a_text(required(stored, "fingerprint"), "fingerprint")
    except (OSError, ValueError) as error:
        raise CbirError(f"cannot read {mark}: {error}; name a new folder, or remove this one first") from None
    if number > _FORMAT:
        raise CbirError(f"{folder} was written by a newer cbir (format {number}); upgrade cbir, or name a new folder")
    if of != collection:
        raise CbirError(f"{folder} holds features for collection '{of}': name a new folder, or remove this one first")
    if with_ != fingerprint:
        raise CbirError(
            f"{folder} holds features of another encoder ({with_}; now it is {fingerprint}): name a new folder, or "
            "remove this one first to write all of them anew"
        )
    return False
