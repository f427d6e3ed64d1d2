"""An archive of pictures as a root, read without unpacking it: a zip, a tar, a Parquet file, or a folder of those.

In: a path. Out: a source whose uris are the members' paths within the archive.
What a tar or a table says beside a picture (WebDataset's `key.json`, `key.txt`
and `key.cls`; further columns) goes into the payload. Names decide about
nothing on this machine's disk: nothing is written under them.
"""

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

from PIL import Image

from cbir.collection.point import Label
from cbir.core.disk import expanded
from cbir.core.errors import CbirWarning, first_line
from cbir.core.progress import Progress, silent
from cbir.core.uris import folder_and_name, shown, uri_of
from cbir.ingest.sources.beside import beside_of, grouped, is_beside, kept_columns
from cbir.ingest.sources.choice import Choice, Sieve
from cbir.ingest.sources.entries import ARCHIVE_SUFFIXES, TARS
from cbir.ingest.sources.labels import Labelling, Labels
from cbir.ingest.sources.listing import Files, Listed, Listing
from cbir.ingest.sources.members import ArchiveError, Member, Members
from cbir.ingest.sources.readers import Readers
from cbir.ingest.sources.recognized import is_plain, refusal
from cbir.ingest.sources.rooted import DATABASE, QUERIES, RootedSource
from cbir.ingest.sources.source import Item, SourceError, stamp_of
from cbir.model.formats import SNIFFED_BYTES
from cbir.model.picture import decode

#: Columns of the listing, besides folder and name.
_COLUMNS = ("archive", "size", "modified", "place", "problem", "own")
#: Members of one folder that are added at once, and between two reports of progress.
_TOGETHER, _REPORTED = 1000, 10_000
_REMEMBERED = 10_000
_NO_STAMP = (0, 0, 0, 0)


class ArchiveSource(RootedSource):
    """A source over the pictures in an archive, or in several of one folder.

    Parameters
    ----------
    root : Path
        The archive; or a folder.
    shards : sequence of Path
        Archives in that folder, in their order; empty if `root` is the archive.
    choice : Choice
        `labels` as for a folder; one folder that holds all the others is passed over, as zips usually have one.
    complete : bool
        Whether the shards are all that there are in the folder.
    progress : Progress
        Stage `list`.

    Raises
    ------
    SourceError
        No archive, or no picture in it.
    """

    def __init__(
        self,
        root: Path,
        shards: Sequence[Path] = (),
        choice: Choice | None = None,
        *,
        complete: bool = True,
        progress: Progress = silent,
    ) -> None:
        root = expanded(root).resolve()
        self._opened_by = tuple(shards), complete, progress
        paths = [expanded(path).resolve() for path in shards] or [root]
        self._open(root, root_name(root), paths, choice or Choice(), progress, sharded=bool(shards), complete=complete)

    def _open(
        self,
        root: Path,
        name: str,
        paths: Sequence[Any],
        choice: Choice,
        progress: Progress,
        *,
        sharded: bool = False,
        complete: bool = True,
    ) -> None:
        super().__init__(root, name, Listing(*_COLUMNS), choice)
        self._complete = complete
        self._paths = paths
        self._sharded = sharded
        self._readers = Readers([str(path) for path in paths] if sharded else [str(self)])
        self._stamps: list[tuple[int, int, int, int]] = []
        self._checked: list[bool] = []
        self._unlisted: list[str] = []
        self._sieve = Sieve(choice)
        self._verdicts: dict[bytes, tuple[str, str, str] | None] = {}
        self._list(progress)
        self._listing.leave_out_repeated("members that come again later in the archive")
        # Shards are cut anywhere: their names say nothing about the pictures.
        del self._sieve, self._verdicts
        self._part("none" if self._sharded and choice.labels == "auto" else choice.labels)
        if not len(self._files):
            raise SourceError(f"{shown(str(self))} holds no pictures{self._why_none()}")

    def chosen(self, choice: Choice) -> Self:
        """Return the same archive, listed again by another choice."""
        shards, complete, progress = self._opened_by
        return type(self)(self.root, shards, choice, complete=complete, progress=progress)

    def _item(self, file: Listed, labelling: Labelling) -> Item:
        number, size, modified, place, problem, own = file.extra
        path = os.fsdecode(file.path)
        location = f"{self}/{path}"
        member = Member(path, size, modified, tuple(json.loads(place)), problem)
        content = partial(self._readers.read, number, member, location)
        label, columns = labelling(file)
        beside: dict[str, Any] = json.loads(own) if own else {}
        own_label: Label | None = beside.pop("label", None)
        if own_label is not None and (label is None or labelling.table is None):
            label = own_label
        uri = uri_of(path)
        folder, name = folder_and_name(uri)
        return Item(
            uri=uri,
            label=label,
            source=self._name,
            open=partial(_opened, content, location),
            content=content,
            payload={
                **beside,
                **columns,
                "folder": folder,
                "name": name,
                **self._stamp(number, size, modified, member.place),
            },
            location=location,
        )

    def _stamp(self, number: int, size: int, modified: int, place: tuple[int, ...]) -> dict[str, Any]:
        """Return what stays the same as long as a member's content does.

        A zip has a checksum of each member, which stands for the inode: the zip may be written anew, or copied.
        """
        _, archive_modified, inode, changed = self._stamps[number]
        known = {} if size < 0 else {"bytes": size}
        if self._checked[number]:
            return {**known, "modified": modified, "inode": place[-1]}
        return {**known, "modified": modified or archive_modified, "inode": inode, "changed": changed}

    # Listing

    def _below(self, shard: Any) -> str:
        """Return the path of a shard relative to the root, with `/`."""
        return shard.relative_to(self.root).as_posix()

    def _stamp_of(self, path: Any) -> tuple[int, int, int, int]:
        """Return what stays the same as long as an archive does; OSError if it is not there."""
        return stamp_of(path.stat())

    def _list(self, progress: Progress) -> None:
        met, refused = 0, set[str]()
        for number, path in enumerate(self._paths):
            prefix = os.fsencode(self._below(path)) + b"/" if self._sharded else b""
            try:
                stamp = self._stamp_of(path)
                members = self._readers[number]
                self._stamps.append(stamp)
            except (ArchiveError, OSError) as error:
                reason = (
                    f"{shown(str(path))} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
                )
                if not self._sharded:
                    raise SourceError(reason) from None
                self._stamps.append(_NO_STAMP)
                self._checked.append(False)
                self._note(prefix, reason)
                continue
            self._checked.append(members.checked)
            now: bytes | None = None
            rows: list[tuple[Any, ...]] = []
            for member, beside in grouped(self._offered(members), members.beside):
                met += 1
                if met % _REPORTED == 0:
                    progress("list", met, None)
                path_of_member = self._taken(prefix, member)
                if path_of_member is None:
                    continue
                folder, _, name = path_of_member.rpartition(b"/")
                if rows and (folder != now or len(rows) >= _TOGETHER):
                    self._listing.add(now or b"", rows)
                    rows = []
                now = folder
                own = {**kept_columns(member.columns, refused), **beside_of(beside, refused)}
                place, said = json.dumps(member.place), json.dumps(own) if own else None
                rows.append((name, number, member.size, member.modified, place, member.problem, said))
            if rows:
                self._listing.add(now or b"", rows)
            for problem in members.problems:
                self._note(prefix, f"{shown(str(path))}: {problem}")
        if refused:
            names = ", ".join(map(shown, sorted(refused)))
            said = f"{shown(str(self))}: column(s) {names} left out, as cbir has fields of these names"
            warnings.warn(said, CbirWarning, stacklevel=2)
        progress("list", met, met)

    def _offered(self, members: Members) -> Iterator[Member]:
        """Yield the members, with the first bytes of those whose names do not tell what they are."""

        def wanted(name: str, size: int) -> int:
            if members.beside and is_beside(name):
                return size
            return 0 if is_plain(name) else SNIFFED_BYTES

        try:
            yield from members.listed(wanted)
        except OSError as error:
            members.problems.append(f"it cannot be listed further: {error.strerror or first_line(error)}")

    def _taken(self, prefix: bytes, member: Member) -> bytes | None:
        """Return the path, within the root, of a member that is taken; the listing gets all others."""
        inner = safe_path(member.name)
        if inner is None:
            self._listing.add_problem(uri_of(os.fsdecode(prefix)), f"{shown(member.name)} is no name of a file")
            return None
        path = prefix + inner
        if member.left_out:
            self._listing.tally.add(member.left_out, path)
            return None
        reason = self._reason(prefix, inner)
        if reason is None and member.size >= 0 and not member.problem:
            reason = refusal(os.fsdecode(inner), lambda: member.head)
        if reason is not None:
            self._listing.tally.add(reason[0], path, detail=reason[1], hint=reason[2])
            return None
        return path

    def _reason(self, prefix: bytes, inner: bytes) -> tuple[str, str, str] | None:
        """Return what the rules say against a member, or against one of the folders that it is in."""
        folder = inner.rpartition(b"/")[0]
        if folder not in self._verdicts:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            parts = folder.split(b"/") if folder else []
            above = (prefix + b"/".join(parts[: depth + 1]) for depth in range(len(parts)))
            reasons = (self._sieve.reason(path, folder=True) for path in above)
            self._verdicts[folder] = next((reason for reason in reasons if reason is not None), None)
        return self._verdicts[folder] or self._sieve.reason(prefix + inner, folder=False)

    def _note(self, prefix: bytes, reason: str) -> None:
        uri = uri_of(os.fsdecode(prefix.rstrip(b"/")))
        self._listing.add_problem(uri, reason)
        self._unlisted.append(uri)

    # Parts and labels

    def _part(self, choice: str) -> None:
        """Find out which files are stored and which are held back, and what they are labelled with."""
        labels = Labels(choice, self._listing, str(self))
        files, top = self._listing.files, self._top()
        database, queries = (top + b"/" + name if top else name for name in (DATABASE, QUERIES))
        self._held_back = None
        if self._holds_back(files, top):
            held = files.within(queries)
            self._held_back = held, labels.of(held, queries)
            files, top = files.within(database), database
        self._files = files
        self._labelling = labels.of(files, top)

    def _top(self) -> bytes:
        """Return the folder that all pictures lie in or below; empty if there is none."""
        top: list[bytes] | None = None
        for folder in self._listing.files.folders():
            parts = folder.split(b"/") if folder else []
            shared = takewhile(lambda pair: pair[0] == pair[1], zip(parts if top is None else top, parts, strict=False))
            top = [part for part, _ in shared]
        return b"/".join(top or [])

    def _holds_back(self, files: Files, top: bytes) -> bool:
        start = len(top) + 1 if top else 0
        found = {folder[start:].split(b"/", 1)[0] for folder in files.folders()}
        return found == {DATABASE, QUERIES}

    def _why_none(self) -> str:
        said = [each.told() for each in self.left_out[:3]]
        said += [reason for _, reason in list(self.problems)[:1]]
        return f" ({'; '.join(said)})" if said else ""


def root_name(path: Path) -> str:
    """Return the name of an archive's source and collection: the file's without its endings."""
    from cbir.ingest.sources.folder import folder_name

    name = path.name
    ending = next((each for each in ARCHIVE_SUFFIXES if name.lower().endswith(each) and len(name) > len(each)), "")
    return folder_name(path.with_name(name.removesuffix(name[len(name) - len(ending) :])))


def shards_in(folder: Path) -> list[Path]:
    """Return the shards that lie in a folder: tars, beside which tables hold no pictures; else tables, else zips."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    except OSError:
        return []
    for endings in (TARS, (".parquet",), (".zip",)):
        if found := [folder / name for name in names if name.lower().endswith(endings)]:
            return found
    return []


def safe_path(name: str) -> bytes | None:
    """Return a member's name as a relative path that leads nowhere else; None if nothing is left of it."""
    if "/" not in name:
        name = name.replace("\\", "/")  # as some programs of Windows write them
    parts = [part for part in name.replace("\0", "\ufffd").split("/") if part not in ("", ".", "..")]
    path = "/".join(parts)
    try:
        return os.fsencode(path) or None
    except UnicodeEncodeError:
        return path.encode("utf-8", "replace") or None


def _opened(content: "partial[bytes]", location: str) -> Image.Image:
    return decode(content(), location)
