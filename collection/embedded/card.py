"""The metadata file of an embedded collection, `NAME/collection.json`.

It holds the collection's metadata, and beside them the name of the shard folder
that is in use. It is replaced atomically, and written after everything else: a
collection exists once its metadata file does, and is replaced by another at the
moment the file names another shard.
"""

import json
from pathlib import Path, PurePath

from cbir.collection.errors import CollectionError, UnreadableError
from cbir.collection.metadata import Metadata, check_format
from cbir.core.atomic import write_atomic
from cbir.core.disk import remedy
from cbir.core.errors import first_line
from cbir.core.stored import a_path, read_object, required

NAME = "collection.json"
#: Beside it: held by whoever fills the collection.
LOCK = ".writing"
#: Beside it: what `cbir.search.map` made of the points. It is not needed, and goes with them.
MAP = "map.npz"
_SHARD = "shard"


def read_metadata(folder: Path) -> tuple[Metadata, str]:
    """Return a collection's metadata, and the name of the shard folder that is in use.

    Raises
    ------
    NewerFormatError
        A newer cbir wrote the file.
    UnreadableError
        The system does not let us read it.
    CollectionError
        There is no such file, or it is damaged.
    """
    file = folder / NAME
    try:
        stored = read_object(file)
        owner = f"collection '{folder.name}'"
        check_format(stored, owner)  # before anything else is expected of it
        shard = a_path(required(stored, _SHARD), _SHARD)
        if shard in ("", ".", "..") or PurePath(shard).name != shard:
            raise ValueError(f"{_SHARD} is not the name of a folder in it")
        del stored[_SHARD]
        return Metadata.from_json(stored, owner), shard
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError) as error:
        raise CollectionError(f"{file} is damaged ({first_line(error)}); {how_to_rebuild(folder.name)}") from None
    except OSError as error:
        raise UnreadableError(
            f"cannot read {file}: {error.strerror or error}; {remedy(error)}name another --collection"
        ) from error


def write_metadata(folder: Path, metadata: Metadata, shard: str) -> None:
    """Write the metadata file, or replace it; all of it or nothing."""
    document = json.dumps({**metadata.to_json(), _SHARD: shard}, indent=2)
    write_atomic(folder / NAME, document.encode())


def has_metadata(folder: Path) -> bool:
    """Tell whether a folder holds a collection, damaged or not; so may one that cannot be looked into."""
    try:
        return (folder / NAME).is_file()
    except PermissionError:
        return True


def how_to_rebuild(name: str) -> str:
    """Return the advice for a damaged collection."""
    return f"rebuild it with: cbir ingest SOURCE --collection '{name}' --retrain"
