"""What a collection remembers about how it was filled.

In and out: a dataclass, and the JSON object that either engine stores. The
object has a format number: an object without one is format 1 and is read; a
higher number than ours is refused, and the collection is left alone. Keys that
this cbir does not know are kept and written back.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cbir.collection.errors import NewerFormatError
from cbir.collection.point import Payload, text_of
from cbir.core.names import is_part_of_path
from cbir.core.objects import is_object
from cbir.core.stored import a_list, a_number, a_path, a_text, a_whole_number, an_object, required
from cbir.core.uris import is_absolute, path_of

#: Written into the metadata; the highest number that is read. Format 1 had no number and no roots; up to format 2 a
#: point was a file, and not a content, so that an older cbir would store everything a second time.
FORMAT = 3

#: Values in a vector: the most that Qdrant takes.
MAX_DIMENSION = 65_536


@dataclass(frozen=True)
class Metadata:
    """What a collection remembers about how it was filled.

    Attributes
    ----------
    fingerprint : str
        Of the encoder; no other encoder may add to or search this collection.
    dimension : int
        Values in a feature.
    model : str
        Name of the model bundle.
    sources : tuple of str
        Datasets, and names of folders, archives, and lists of files or addresses, in the order they were ingested.
    input_shape : tuple of int
        (height, width, channels) of the encoder's input.
    version : str
        The cbir that wrote it.
    created, updated : str
        ISO 8601, UTC.
    background : tuple (mean, standard deviation, count) or None
        Border brightness of the stored images, in [0, 1].
    smooth : int
        How many nearest each feature was averaged with; 0: stored as the encoder made it.
    ingested : str
        ISO 8601, UTC: when somebody last asked for it to be filled, which makes it the collection that is used where
        none is named. Empty: it was only filled by the way, to be compared, or restored.
    roots : Mapping
        Name of each source that is a folder or an archive, to its absolute path; of files that were listed one by one,
        to the root of the file system.
    choices : Mapping
        Name of a root to what was chosen of it, where that is not the usual: the options of
        `cbir.ingest.sources.choice.Choice`, as JSON values.
    extra : Mapping
        Keys that a newer cbir wrote, with their values.
    """

    fingerprint: str
    dimension: int
    model: str
    sources: tuple[str, ...]
    input_shape: tuple[int, int, int]
    version: str
    created: str
    updated: str
    background: tuple[float, float, int] | None = None
    smooth: int = 0
    ingested: str = ""
    roots: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: object, owner: str = "this collection") -> "Metadata":
        """Read what `to_json` wrote.

        Parameters
        ----------
        stored : object
        owner : str
            Whose metadata they are, for the message.

        Raises
        ------
        NewerFormatError
            A newer cbir wrote them.
        ValueError
            They are damaged: a value is missing, or is none that was ever written.
        """
        stored = an_object(stored, "it")
        check_format(stored, owner)
        if not is_part_of_path(required(stored, "model")):
            raise ValueError("the model's name is not a name")  # it becomes a path
        updated = a_text(required(stored, "updated"), "updated")
        smooth = a_whole_number(stored.get("smooth", 0), "smooth")  # older metadata have none
        return cls(
            fingerprint=a_text(required(stored, "fingerprint"), "fingerprint"),
            dimension=a_whole_number(required(stored, "dimension"), "dimension", 1, MAX_DIMENSION),
            model=stored["model"],
            sources=tuple(a_path(each, "a source") for each in a_list(required(stored, "sources"), "sources")),
            input_shape=_shape(required(stored, "input_shape")),
            version=a_text(required(stored, "version"), "version"),
            created=a_text(required(stored, "created"), "created"),
            updated=updated,
            background=_background(stored.get("background")),
            smooth=smooth,
            ingested=a_text(stored.get("ingested", updated), "ingested"),  # older metadata do not tell
            roots={
                source: a_path(path, "a root") for source, path in an_object(stored.get("roots", {}), "roots").items()
            },
            choices={
                source: an_object(chosen, "a choice")
                for source, chosen in an_object(stored.get("choices", {}), "choices").items()
            },
            extra={name: value for name, value in stored.items() if name not in (*_KEYS, "format")},
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, with the format number, and with the keys of newer versions."""
        known = {name: getattr(self, name) for name in _KEYS}
        return {**self.extra, "format": FORMAT, **known, "roots": dict(self.roots), "choices": dict(self.choices)}

    def updating(self, stored: "Metadata") -> "Metadata":
        """Return these metadata as they may replace stored ones: encoder, dimension and newer versions' keys stay."""
        return replace(
            self,
            dimension=stored.dimension,
            fingerprint=stored.fingerprint,
            extra={**stored.extra, **self.extra},
        )

    def place(self, source: str) -> str:
        """Return what a user calls one of the sources: a dataset's name, or a folder's path.

        Files that were listed one by one have the root of the file system, which nobody would know them by.
        """
        root = self.roots.get(source, source)
        return source if root == os.path.dirname(root) else root  # noqa: PTH120 - as text

    def locate(self, payload: Payload) -> str:
        """Return what opens the picture of a stored point.

        Parameters
        ----------
        payload : dict

        Returns
        -------
        str
            An absolute path, or a dataset's uri such as `mnist:train/7`.
        """
        uri = text_of(payload, "uri")
        root = self.roots.get(text_of(payload, "source"))
        # Points of format 1 have absolute paths, also in a collection that has roots.
        if root is None or is_absolute(uri):
            return uri
        return f"{root}/{path_of(uri)}" if is_object(root) else str(Path(root, path_of(uri)))


def _shape(stored: object) -> tuple[int, int, int]:
    height, width, channels = (a_whole_number(size, "input_shape", 1) for size in a_list(stored, "input_shape", 3))
    return height, width, channels


def _background(stored: object) -> tuple[float, float, int] | None:
    if stored is None:
        return None
    mean, deviation, count = a_list(stored, "background", 3)
    if not a_whole_number(count, "background"):
        return None
    return a_number(mean, "background"), a_number(deviation, "background"), count


_KEYS = tuple(each.name for each in fields(Metadata) if each.name != "extra")


def check_format(stored: Mapping[str, Any], owner: str) -> None:
    """Refuse stored metadata of a newer format; see `Metadata.from_json`, which does it first.

    Raises
    ------
    NewerFormatError
        Naming the format, and the highest that is read.
    ValueError
        No format number: damaged.
    """
    number = a_whole_number(stored.get("format", 1), "format", 1)
    if number > FORMAT:
        raise NewerFormatError(
            f"{owner} was written by a newer cbir (format {number}; this one reads up to {FORMAT}): upgrade cbir"
        )


def changed_now(metadata: Metadata) -> Metadata:
    """Return the metadata of a collection whose points were changed just now."""
    return replace(metadata, updated=datetime.now(UTC).isoformat(timespec="milliseconds"))
