"""Pictures in object storage as a root: `s3://bucket/photos` or `gs://bucket/photos`, or shards that lie there.

In: an address. Out: a source whose uris are the keys below it, read by `cbir.ingest.sources.object_members` as an
archive is by its reader; or those within its shards, each of which is read as the same file on a disk would be.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from cbir.collection.fields import MEMBER
from cbir.core.objects import ObjectError, Stored, matching, read_object, stat_object, stored_in
from cbir.core.progress import Progress, silent
from cbir.ingest.sources.archive import ArchiveSource
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.entries import ARCHIVE_SUFFIXES
from cbir.ingest.sources.folder import folder_name
from cbir.ingest.sources.members import Member
from cbir.ingest.sources.source import SourceError
from cbir.model.formats import SNIFFED_BYTES, SUFFIXES, sniff, suffix_of

_NO_STAMP = (0, 0, 0, 0)


class BucketSource(ArchiveSource):
    """A source over the pictures below an address.

    Parameters
    ----------
    address : str
    choice : Choice
        As for a folder.
    shards : sequence of str
        Archives right below it, to be taken alone; by default all, if there is nothing else.
    progress : Progress
        Stage `list`.

    Raises
    ------
    SourceError
        It cannot be reached, or there is no picture.
    """

    def __init__(
        self,
        address: str,
        choice: Choice | None = None,
        *,
        shards: Sequence[str] = (),
        progress: Progress = silent,
    ) -> None:
        self._address = address.rstrip("/")
        self._opened_with = tuple(shards), progress
        try:
            self._found = self._shards(frozenset(shards))
        except ObjectError as error:
            raise SourceError(str(error)) from None
        place = Path(self._address)
        if shards or self._found:
            found = sorted(self._found)
            self._open(
                place, folder_name(place), found, choice or Choice(), progress, sharded=True, complete=not shards
            )
        else:
            self._open(place, folder_name(place), [place], choice or Choice(), progress)

    def __str__(self) -> str:
        return self._address

    def _shards(self, named: frozenset[str]) -> dict[str, Stored]:
        """Return the archives right below the address: those that are named, or all, if there is nothing else."""
        found = {}
        for each in stored_in(self._address):
            if _is_archive(each) and (not named or each.name in named):
                found[each.name] = each
            elif not named:
                return {}  # nothing further is listed for that
        return found

    def chosen(self, choice: Choice) -> Self:
        """Return the same objects, listed again by another choice."""
        shards, progress = self._opened_with
        return type(self)(self._address, choice, shards=shards, progress=progress)

    def _below(self, shard: Any) -> str:
        return str(shard)[len(self._address) + 1 :]

    def _taken(self, prefix: bytes, member: Member) -> bytes | None:
        if self._sharded or not member.left_out:
            return super()._taken(prefix, member)
        self._listing.tally.add(member.left_out, member.name.encode("utf-8", "surrogateescape"))
        return None

    def _stamp(self, number: int, size: int, modified: int, place: tuple[int, ...]) -> dict[str, Any]:
        """Return a picture's stamp, and where in its shard it is, which spares others to list the shard."""
        stamp = super()._stamp(number, size, modified, place)
        return {**stamp, MEMBER: list(place)} if self._sharded else stamp

    def _stamp_of(self, path: Any) -> tuple[int, int, int, int]:
        stored = self._found.get(str(path))
        return (stored.size, stored.modified, stored.tag, stored.modified) if stored else _NO_STAMP


def shards_named(argument: str) -> list[str]:
    """Return the shards that an address or a pattern names; none if it is the address of what lies below it.

    Raises
    ------
    SourceError
        It names none that are there.
    """
    if "*" not in argument and not argument.lower().endswith(ARCHIVE_SUFFIXES):
        return []
    try:
        found = matching(argument)
    except ObjectError as error:
        raise SourceError(str(error)) from None
    shards = [each.name for each in found if _is_archive(each)]
    if not shards:
        raise SourceError(f"'{argument}' matches no archives; of pictures, name what is above them")
    return shards


def is_one_picture(address: str) -> bool:
    """Tell whether an address is that of a picture, and not of what lies below it.

    Raises
    ------
    SourceError
        It is that of another object, and nothing lies below it.
    """
    if address.endswith("/"):
        return False
    try:
        found = stat_object(address)
        if found is None:
            return False
        if suffix_of(address) in SUFFIXES or sniff(read_object(address, SNIFFED_BYTES), address) is not None:
            return True
    except ObjectError:
        return False  # who may not ask for an object may list what is there, and else is told why not
    with suppress(ObjectError):  # "does not exist"
        if any(True for _ in stored_in(address)):
            return False
    raise SourceError(
        f"{address} is no picture, and no archive (zip, tar, Parquet); a list is read from this machine: copy it here "
        "first, or pipe it into cbir ingest -"
    )


def _is_archive(stored: Stored) -> bool:
    return not stored.is_folder and stored.name.lower().endswith(ARCHIVE_SUFFIXES)
