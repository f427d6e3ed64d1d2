"""What was found: groups of the same picture, what to keep of each, and groups of pictures that are only alike.

In: ids, payloads and relations. Out: a `Duplicates`, which can say itself as JSON
values and as a list of files.
"""

from dataclasses import dataclass, field
from typing import Any

from cbir.collection.point import Payload
from cbir.search.duplicates.calibration import Threshold


@dataclass(frozen=True)
class Member:
    """A file, or a picture of a dataset, in a group.

    Attributes
    ----------
    id : str
        Of its point: exact copies share one.
    source, uri : str
    path : str or None
        Absolute; None for a picture that is not a file, or not one of its own.
    size : (int, int) or None
        Width and height, in pixels.
    bytes : int or None
    how : str
        What was done to it if the picture to keep is the original; empty for that one.
    keypoints : int
        That agree with the picture to keep; 0 for exact copies, and where the whole pictures were compared.
    payload : dict
        Of its point, with its own source and uri.
    """

    id: str
    source: str
    uri: str
    path: str | None
    size: tuple[int, int] | None
    bytes: int | None
    how: str
    keypoints: int
    payload: Payload = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return this as JSON values."""
        return {
            "id": self.id,
            "source": self.source,
            "uri": self.uri,
            "path": self.path,
            "width": self.size[0] if self.size else None,
            "height": self.size[1] if self.size else None,
            "bytes": self.bytes,
            "how": self.how,
            "keypoints": self.keypoints,
        }


@dataclass(frozen=True)
class Group:
    """The same picture several times.

    Attributes
    ----------
    keep : Member
    why : str
        Why this one: `most pixels`.
    others : tuple of Member
        Each confirmed to be a copy of `keep`.
    """

    keep: Member
    why: str
    others: tuple[Member, ...]

    @property
    def is_exact(self) -> bool:
        """Whether all files are the same, byte for byte."""
        return all(other.how == EXACT for other in self.others)

    def as_json(self) -> dict[str, Any]:
        """Return this as JSON values."""
        return {
            "kind": "exact" if self.is_exact else "edited",
            "why": self.why,
            "keep": self.keep.as_json(),
            "others": [other.as_json() for other in self.others],
        }


#: What is said of a file that is the same as another, byte for byte.
EXACT = "exact copy"


@dataclass(frozen=True)
class Duplicates:
    """What a collection holds more than once.

    Attributes
    ----------
    collection : str
    points : int
        Points that were looked at: different contents.
    threshold : Threshold or None
        Up to which distance pictures were compared; None if nothing could be.
    compared : int
        Pairs of pictures.
    groups : tuple of Group
        The same picture, edited or not; those with the most bytes to spare first.
    alike : tuple of tuples of Member
        Pictures of one motif that are not the same, as the shots of a burst are.
    unreadable : tuple of (str, str)
        Uris of pictures that could not be opened, and why.
    """

    collection: str
    points: int
    threshold: Threshold | None
    compared: int
    groups: tuple[Group, ...]
    alike: tuple[tuple[Member, ...], ...]
    unreadable: tuple[tuple[str, str], ...]

    @property
    def spare(self) -> tuple[Member, ...]:
        """All that need not be kept."""
        return tuple(other for group in self.groups for other in group.others)

    @property
    def spare_bytes(self) -> int:
        """Bytes of the files that need not be kept."""
        return sum(member.bytes or 0 for member in self.spare)

    def paths(self) -> list[str]:
        """Return the paths of the files that need not be kept; never one that a group keeps."""
        kept = {group.keep.path for group in self.groups}
        return list(dict.fromkeys(m.path for m in self.spare if m.path is not None and m.path not in kept))

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        used = self.threshold
        return {
            "collection": self.collection,
            "points": self.points,
            "threshold": None
            if used is None
            else {
                "distance": used.distance,
                "reached": used.reached,
                "strangers": used.strangers,
                "pictures": used.pictures,
                "edits": dict(used.edits),
            },
            "compared": self.compared,
            "groups": [group.as_json() for group in self.groups],
            "alike": [[member.as_json() for member in members] for members in self.alike],
            "spare": {"files": len(self.spare), "bytes": self.spare_bytes},
            "unreadable": [{"uri": uri, "reason": reason} for uri, reason in self.unreadable],
        }
