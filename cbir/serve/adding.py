"""A picture is added to a collection without an ingest, and kept as a file if that is asked for.

In: a picture's file, and what is said of it. Out: a stored point. Its file is written below the collection's first
folder, under a name made of its content: never under one that somebody sent.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection.checks import check_payloads
from cbir.collection.errors import CollectionError
from cbir.collection.fields import BY_NAME
from cbir.collection.point import content_id
from cbir.core.atomic import write_atomic
from cbir.core.errors import CbirError
from cbir.ingest.added import Picture, add
from cbir.model.formats import FORMATS, sniff

if TYPE_CHECKING:
    from cbir.collection.metadata import Metadata
    from cbir.serve.body import Form
    from cbir.serve.schemas import AddRequest
    from cbir.serve.state import State

#: The folder of added pictures; those with a label that is a folder of the root's are put there.
FOLDER = "added"
#: The field with what the file was called that somebody sent: shown, never a path.
ORIGINAL_NAME = "original_name"


class NotAddedError(CbirError):
    """What is said of a picture cannot be stored, or its file cannot be kept."""


def added(served: State, name: str, form: Form, asked: AddRequest) -> tuple[str, bool]:
    """Store a picture; return its point's id, and whether it is a new one.

    Raises
    ------
    ImageError
        It is none, or cannot be decoded within the limits.
    NotAddedError
    CollectionBusyError
        The collection is being filled.
    """
    if ours := sorted(field for field in asked.payload if field in BY_NAME or field.startswith("_")):
        raise NotAddedError(f"payload: cbir itself writes the field '{ours[0]}'")
    content, sha256 = form.image, hashlib.sha256(form.image).hexdigest()
    identity = content_id(sha256)
    try:
        check_payloads([identity], [{**asked.payload, "label": asked.label}])
    except CollectionError as error:
        raise NotAddedError(str(error)) from error
    searcher = served.library.searcher(name)
    pixels, details = served.decoding.seen(content, "the picture", searcher.bundle.preprocessing)
    feature = served.encoding(searcher).encode(pixels)
    with served.library.writing(name) as (searcher, collection):
        file, fields = None, asked.payload
        is_new = not collection.payloads([identity])
        if is_new and form.name:
            fields = {ORIGINAL_NAME: form.name, **fields}
        if is_new and asked.save:
            # It stays whatever fails afterwards: its point may be stored although no answer came. The same request
            # again, or the next ingest, finds it.
            file = _saved(content, sha256, asked, collection.metadata)
        picture = Picture(sha256, details, pixels, feature, asked.label, fields, file)
        return add(collection, picture, searcher.encoder.code_bits)


def _saved(content: bytes, sha256: str, asked: AddRequest, metadata: Metadata) -> Path:
    """Write a picture's file below the collection's first folder, if it is not there; return its path."""
    roots = [Path(root) for root in metadata.roots.values() if Path(root).parent != Path(root)]
    root = next((root for root in roots if root.is_dir()), None)
    if root is None:
        raise NotAddedError("save: the collection has no folder to keep the picture in; nothing was added")
    folder = root / FOLDER
    try:
        with os.scandir(root) as entries:
            if any(each.name == asked.label and each.is_dir(follow_symlinks=False) for each in entries):
                folder = root / str(asked.label)
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise NotAddedError(f"save: {folder} is a link; nothing was added")
        form = next(each for each in FORMATS if each.name == sniff(content))
        file = folder / f"{sha256}{form.suffixes[0]}"
        if not file.exists():
            write_atomic(file, content)
    except OSError as error:
        raise NotAddedError(f"save: {error.filename or folder} cannot be written ({error.strerror})") from error
    return file
