"""Pictures that somebody lists: paths and addresses, one by one, wherever they lie.

In: paths and addresses, as they were typed or as a list has them. Out: a source
that knows nothing of what is not in the list. A file that lies in a root of the
collection belongs to that root, as if the whole root had been read; all others
belong to `files`, whose root is that of the file system, and pictures on
servers and in object storage to `addresses`, which has none.
"""

import copy
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from PIL import Image

from cbir.core.errors import first_line
from cbir.core.objects import is_object
from cbir.core.uris import folder_and_name, path_of, shown, uri_of
from cbir.ingest.sources.addresses import Fetcher, is_address
from cbir.ingest.sources.entries import ARCHIVE_SUFFIXES
from cbir.ingest.sources.listing import Files, Listed, Listing
from cbir.ingest.sources.member_pictures import read_in_storage
from cbir.ingest.sources.recognized import refusal
from cbir.ingest.sources.source import STAMP, Item, LeftOut, Source, SourceError, stamp_of
from cbir.model.formats import SNIFFED_BYTES
from cbir.model.picture import decode, open_image, read_file

FILES, ADDRESSES = "files", "addresses"
#: The root of the file system.
_TOP = Path(os.sep).absolute().as_posix()
_ARCHIVES = tuple(map(os.fsencode, ARCHIVE_SUFFIXES))
#: What opens a file without waiting, should it have become a fifo.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
#: Entries of one folder that are added at once.
_TOGETHER = 1000
#: Folders whose links were followed, that are remembered.
_REMEMBERED = 1000


class ListedSource(Source):
    """A source over files and addresses.

    Parameters
    ----------
    entries : iterable of str
        Paths, relative ones to the working directory, and addresses. What comes twice is taken once.
    name : str
        What a message calls it.
    allow_private : bool
        Whether addresses may lead into a private network.
    within : sequence of str
        Absolute paths of folders that are read as a whole beside the list: what lies in one of them is left out.

    Raises
    ------
    SourceError
        There are no pictures in it, and nothing is read beside it.
    """

    def __init__(
        self,
        entries: Iterable[str],
        name: str = FILES,
        *,
        allow_private: bool = False,
        within: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._names: dict[str, str] = {FILES: FILES, ADDRESSES: ADDRESSES}
        self._known: list[tuple[str, str]] = []
        self._fetcher = Fetcher(allow_private=allow_private)
        self._listing = Listing(*STAMP)
        self._list(entries, [os.fsencode(folder).rstrip(b"/") + b"/" for folder in within])
        self._listing.leave_out_repeated("named more than once")
        self._beyond = 0
        self._has_files, self._has_addresses = self._kinds()
        self._files: Files = self._listing.files
        if not len(self._files) and not len(self._listing.problems) and not within:
            left = "; ".join(each.told() for each in self._listing.tally.left_out)
            raise SourceError(f"{shown(name)} lists no pictures" + (f" ({left})" if left else ""))

    def __str__(self) -> str:
        return self._name

    @property
    def name(self) -> str:
        """What a message calls it, and its collection, if that is not named."""
        return self._name

    @property
    def roots(self) -> Mapping[str, str]:
        """The known roots that may have files in the list, and that of the file system for all others."""
        known = {name: path for path, name in self._known}
        return {**known, **({self._names[FILES]: _TOP} if self._has_files else {})}

    @property
    def names(self) -> Sequence[str]:
        """Those of the roots, and that of addresses if there are some."""
        return [*self.roots, *((self._names[ADDRESSES],) if self._has_addresses else ())]

    @property
    def own_names(self) -> Sequence[str]:
        """Those of files in no known root, and of addresses."""
        known = {name for _, name in self._known}
        return [name for name in self.names if name not in known]

    @property
    def complete(self) -> bool:
        """No: what is not listed may be there all the same."""
        return False

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """Folders, what is no picture, and what was named twice."""
        beyond = (LeftOut("beyond the limit", self._beyond),) if self._beyond else ()
        named = (replace(left, examples=tuple(map(_as_named, left.examples))) for left in self._listing.tally.left_out)
        return (*named, *beyond)

    @property
    def problems(self) -> Iterable[tuple[str, str]]:
        """What can be no path."""
        return self._listing.problems

    def rooted(self, roots: Mapping[str, str]) -> Self:
        """Return the same source, whose files belong to the innermost of these roots that they lie in.

        Parameters
        ----------
        roots : Mapping
            Names to absolute paths of folders, as a collection knows them.
        """
        rooted = copy.copy(self)
        rooted._known = sorted(
            ((path.rstrip("/"), name) for name, path in roots.items() if path.rstrip("/")),
            key=lambda known: len(known[0]),
            reverse=True,
        )
        rooted._known = [known for known in rooted._known if self._listing.has_below(os.fsencode(known[0][1:]))]
        rooted._has_files, _ = rooted._kinds()
        return rooted

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the same source with other names for its roots."""
        renamed = copy.copy(self)
        renamed._names = {name: names.get(now, now) for name, now in self._names.items()}
        renamed._known = [(path, names.get(name, name)) for path, name in self._known]
        return renamed

    def limited(self, count: int) -> Self:
        """Return the same source with a fair sample of its pictures: folders take turns."""
        if count >= len(self):
            return self
        limited = copy.copy(self)
        limited._files = self._files.sample(count)
        limited._beyond = self._beyond + len(self) - count
        return limited

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> Iterator[Item]:
        """Yield the files and addresses in the order of the list."""
        return map(self._item, self._files)

    def queries(self) -> list[Item]:
        """Return nothing: all are stored."""
        return []

    def _item(self, file: Listed) -> Item:
        path = os.fsdecode(file.path)
        if _is_elsewhere(path):
            content = partial(read_in_storage if is_object(path) else self._fetcher.fetch, path)
            opened = partial(_fetched, content, path)
            fields = _folder_and_name(path)
            return Item(path, None, self._names[ADDRESSES], opened, content, fields, path, described=False)
        full = os.path.join(_TOP, path)  # noqa: PTH118 - a path of any bytes
        root, source = next(
            (known for known in self._known if full.startswith(known[0] + "/")), ("", self._names[FILES])
        )
        stamp = {name: value for name, value in zip(STAMP, file.extra, strict=True) if value is not None}
        uri = uri_of(full[len(root) + 1 :])
        payload = {**_folder_and_name(uri), **stamp}
        opened, content = partial(open_image, full), partial(read_file, full)
        return Item(uri, None, source, opened, content, payload, full, described=False)

    # Listing

    def _list(self, entries: Iterable[str], within: Sequence[bytes]) -> None:
        """Put the entries into the listing, those of one folder together as long as they follow one another."""
        folders: dict[bytes, bytes] = {}
        now = b""
        files: list[tuple[bytes | int | None, ...]] = []
        for entry in entries:
            if is_object(entry) and _names_no_object(entry):
                said = f"{shown(entry)} names no object; what lies below it is read by: cbir ingest {shown(entry)}"
                self._listing.add_problem(shown(entry), said)
                continue
            if _is_elsewhere(entry):
                path = entry.encode("utf-8", "replace")
                folder, name = path.rsplit(b"/", 1)
                file: tuple[bytes | int | None, ...] | None = (name, None, None, None, None)
            elif "\0" in entry:
                self._listing.add_problem(shown(entry), f"{shown(entry)} is no path")
                continue
            else:
                folder, name = _located(os.fsencode(entry), folders)
                file = self._file(folder, name, within)
            if file is None:
                continue
            if files and (folder != now or len(files) >= _TOGETHER):
                self._listing.add(now, files)
                files = []
            now = folder
            files.append(file)
        if files:
            self._listing.add(now, files)

    def _file(self, folder: bytes, name: bytes, within: Sequence[bytes]) -> tuple[bytes | int | None, ...] | None:
        """Return the row of a file; None if it is not taken."""
        path = folder + b"/" + name if folder else name
        full = os.fsencode(_TOP) + path
        if any(full.startswith(outer) for outer in within):
            self._listing.tally.add("in a folder that is read as a whole", path)
            return None
        try:
            status = os.stat(full)  # noqa: PTH116 - a path of any bytes
        except (OSError, ValueError):
            return (name, None, None, None, None)  # reading it says why
        if stat.S_ISDIR(status.st_mode):
            self._listing.tally.add("folders in a list", path + b"/", hint="to read a folder, name it: cbir ingest DIR")
        elif not stat.S_ISREG(status.st_mode):
            self._listing.tally.add("neither files nor folders", path)
        elif reason := _refused(full):
            self._listing.tally.add(reason[0], path, detail=reason[1], hint=reason[2])
        else:
            return (name, *stamp_of(status))
        return None

    def _kinds(self) -> tuple[bool, bool]:
        """Return whether there are files in no known root, and whether there are addresses."""
        known = tuple(os.fsencode(path[1:]) + b"/" for path, _ in self._known)
        folders = (folder + b"/" for folder in self._listing.files.folders())
        addresses = {_is_elsewhere(os.fsdecode(folder)) for folder in folders if not folder.startswith(known)}
        return False in addresses, True in addresses


def _is_elsewhere(entry: str) -> bool:
    """Tell whether an entry is an address, of a picture on a server or in object storage, and no path."""
    return is_address(entry) or is_object(entry)


def _names_no_object(address: str) -> bool:
    """Tell whether an address in storage has nothing behind its bucket, or behind its last slash."""
    _, _, key = address.partition("://")[2].partition("/")
    return not key or key.endswith("/")


def _folder_and_name(uri: str) -> dict[str, Any]:
    folder, name = folder_and_name(uri)
    return {"folder": folder, "name": name}


def _as_named(uri: str) -> str:
    """Return an address, or the absolute path, for the uri that a listing makes of either."""
    return path_of(uri) if _is_elsewhere(path_of(uri)) else _TOP + shown(path_of(uri))


def _located(entry: bytes, folders: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return folder, relative to the file system's root, and name of a path; links among the folders are followed.

    A collection's roots are paths without links; a link to a picture has a name of its own.
    """
    above, name = os.path.split(os.path.abspath(entry))  # noqa: PTH100 - a path of any bytes
    if above not in folders:
        if len(folders) >= _REMEMBERED:
            folders.clear()
        try:
            real = os.path.realpath(above)
        except (OSError, ValueError):
            real = above
        folders[above] = real.lstrip(b"/")
    return folders[above], name


def _refused(full: bytes) -> tuple[str, str, str] | None:
    """Return why a file is no picture to take; None if it is one, or reading it says why not."""

    def head() -> bytes:
        descriptor = os.open(full, _FLAGS)
        try:
            return os.read(descriptor, SNIFFED_BYTES)
        finally:
            os.close(descriptor)

    try:
        refused = refusal(os.fsdecode(full), head)
        if refused is not None and full.lower().endswith(_ARCHIVES):
            return "archives in a list", refused[1], "to read an archive, name it: cbir ingest FILE"
        return refused
    except OSError as error:
        return "not pictures by name, and unreadable", error.strerror or first_line(error), ""


def _fetched(content: Callable[[], bytes], address: str) -> Image.Image:
    return decode(content(), address)
