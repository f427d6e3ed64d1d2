# ruff: noqa: PTH116, PTH118, PTH120 - names are bytes
"""A folder is walked to its bottom: each file in it is listed, left out for a reason, or a problem.

In: a folder and the rules of a choice. Out: a listing, in the order of the
paths. One pass of `os.scandir`; folders that wait stand in the listing, so that
neither depth nor number costs memory. What cannot be read does not end the walk.
"""

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cbir.core.errors import CbirError
from cbir.core.extras import to_install
from cbir.core.progress import Progress, silent
from cbir.core.uris import shown, uri_of
from cbir.ingest.sources.choice import IGNORE_FILE, Choice, Sieve, may_be_left_out, patterns
from cbir.ingest.sources.entries import ARCHIVE_SUFFIXES
from cbir.ingest.sources.listing import Listing
from cbir.model.formats import SNIFFED_BYTES, SUFFIXES, missing_extra, sniff, unreadable_suffixes

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: An ignore file of more bytes is not read.
_IGNORE_BYTES = 1 << 20
#: Bytes of an ending that is named.
_LONGEST = 12
#: Entries between two reports of progress.
_REPORTED = 10_000
#: A folder that has gone, or become a file, since its parent was read.
_GONE = (FileNotFoundError, NotADirectoryError)
#: At the root of a disk: files in them are made up while they are read.
_OF_THE_SYSTEM = frozenset((b"proc", b"sys", b"dev"))
#: What opens a file without waiting for anything, should it have become a fifo.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class Walk:
    """One walk; see `walk`.

    Attributes
    ----------
    unlisted : list of bytes
        Paths, relative to the root, of folders that could not be listed, or with files that could not be looked at; of
        archives; and of links that lead nowhere, perhaps to a disk that is not mounted, if links are followed.
    """

    def __init__(self, root: bytes, choice: Choice, listing: Listing, progress: Progress = silent) -> None:
        self.unlisted: list[bytes] = []
        self._root = root
        self._follow = choice.follow
        #: Endings that need nothing installed: such files are taken without looking at them.
        self._plain = _SUFFIXES - frozenset(map(os.fsencode, unreadable_suffixes()))
        self._sieve = Sieve(choice)
        self._listing = listing
        self._progress = progress
        self._met = 0
        self._ignores: list[tuple[bytes, GitIgnoreSpec]] = []
        #: Of the root, and of folders outside that links lead to: device and inode, by which loops are noticed.
        self._entered: set[tuple[int, int]] = set()
        #: Folders outside the root that links lead to, by the links' paths.
        self._links: list[bytes] = []

    def run(self) -> None:
        """Fill the listing.

        Raises
        ------
        OSError
            The root itself cannot be read.
        """
        status = os.stat(self._root)
        self._entered.add((status.st_dev, status.st_ino))
        with os.scandir(self._root):
            pass
        self._listing.add_folders([b""])
        folder: bytes | None = b""
        while folder is not None:
            self._listing.add(folder, ((name,) for name in self._taken(folder)), sort=True)
            folder = self._listing.next_folder(folder)
        if self._met >= _REPORTED:  # else it was too quick to be told
            self._progress("list", self._met, self._met)

    def _taken(self, folder: bytes) -> Iterator[bytes]:
        """Yield the names of the files to take of a folder; the listing gets all else."""
        while self._ignores and not _is_below(folder, self._ignores[-1][0]):
            self._ignores.pop()
        try:
            self._read_ignore_file(folder)
        except (OSError, CbirError) as error:
            self._cannot_list(folder, error)
            return
        try:
            with os.scandir(os.path.join(self._root, folder)) as entries:
                plain = self._plain if self._sieve.simple and not self._ignores else frozenset()
                for entry in entries:
                    self._met += 1
                    if self._met % _REPORTED == 0:
                        self._progress("list", self._met, None)
                    name = entry.name
                    # Most entries are pictures by name, about which there is nothing to decide.
                    plainly = _suffix(name) in plain and not may_be_left_out(name)
                    if (plainly and entry.is_file(follow_symlinks=False)) or self._is_taken(folder, entry):
                        yield name
        except _GONE:
            if not folder:
                raise
        except OSError as error:
            self._cannot_list(folder, error)

    def _is_taken(self, folder: bytes, entry: "os.DirEntry[bytes]") -> bool:
        path = folder + b"/" + entry.name if folder else entry.name
        if entry.is_file(follow_symlinks=False):
            return not self._refused(path, folder=False) and self._is_picture(path)
        if entry.is_dir(follow_symlinks=False):
            if self._root == b"/" and path in _OF_THE_SYSTEM:
                self._listing.tally.add("of the running system", path + b"/")
            elif not self._refused(path, folder=True) and not self._is_entered(path):
                self._listing.add_folders([path])
            return False
        if entry.is_symlink():
            return self._is_link_taken(path)
        self._listing.tally.add("neither files nor folders", path, detail=_kind(entry))
        return False

    def _refused(self, path: bytes, *, folder: bool) -> bool:
        reason = self._sieve.reason(path, folder=folder, ignores=self._ignores)
        if reason is None:
            return False
        said, detail, hint = reason
        self._listing.tally.add(said, path + b"/" if folder else path, detail=detail, hint=hint)
        return True

    # Content

    def _is_picture(self, path: bytes) -> bool:
        """Tell by a file's ending, or else by its first bytes, whether it is taken as a picture."""
        suffix = _suffix(path)
        if suffix in self._plain:
            return True
        try:
            format_ = sniff(self._head(path), os.fsdecode(path))
        except _GONE:
            return suffix in _SUFFIXES
        except OSError as error:
            if suffix in _SUFFIXES:
                return True  # reading it tells why not
            self._listing.tally.add("not pictures by name, and unreadable", path, detail=error.strerror or "")
            # It may be one that is stored: whether that is gone cannot be told.
            folder = path[: max(0, path.rfind(b"/"))]
            if folder not in self.unlisted[-1:]:
                self.unlisted.append(folder)
            return False
        if format_ is None:
            if suffix in _SUFFIXES:
                return True
            if path.lower().endswith(_ARCHIVES):
                self.unlisted.append(path)  # pictures in it may be stored
            self._listing.tally.add("not pictures", path, detail=_ending(suffix))
            return False
        if extra := missing_extra(format_):
            self._listing.tally.add(f"{format_} pictures", path, hint=f"to read them: {to_install(extra)}")
            return False
        return True

    def _head(self, path: bytes) -> bytes:
        descriptor = os.open(os.path.join(self._root, path), _FLAGS)
        try:
            return os.read(descriptor, SNIFFED_BYTES)
        finally:
            os.close(descriptor)

    # Links

    def _is_link_taken(self, path: bytes) -> bool:
        """Take a link to a file outside the root, and remember one to a folder there, if links are followed."""
        full = os.path.join(self._root, path)
        try:
            status = os.stat(full)
        except OSError as error:
            if self._follow:
                self.unlisted.append(path)
            if _suffix(path) in _SUFFIXES:
                self._problem(path, f"is a link that leads nowhere: {error.strerror or error}")
            else:
                self._listing.tally.add("links that lead nowhere", path)
            return False
        target = os.path.realpath(full)
        folder = stat.S_ISDIR(status.st_mode)
        if target == self._root or _is_below(target, self._root):
            self._listing.tally.add("links to what is in the folder anyway", path)
        elif not self._follow:
            self._listing.tally.add("links that lead out of the folder", path, hint="--follow takes them")
        elif self._refused(path, folder=folder):
            pass
        elif stat.S_ISREG(status.st_mode):
            return self._is_picture(path)
        elif not folder:
            self._listing.tally.add("neither files nor folders", path)
        elif self._is_in_entered(target):
            self._listing.tally.add(_AGAIN, path + b"/")
        else:
            self._entered.add((status.st_dev, status.st_ino))
            self._links.append(path)
            self._listing.add_folders([path])
        return False

    def _is_in_entered(self, target: bytes) -> bool:
        """Return whether a folder outside the root lies in one that a link has led to."""
        while True:
            try:
                status = os.stat(target)
            except OSError:
                return False
            if (status.st_dev, status.st_ino) in self._entered:
                return True
            if (parent := os.path.dirname(target)) == target:
                return False
            target = parent

    def _is_entered(self, path: bytes) -> bool:
        """Return whether a folder that was met behind a link is the root, or one that another link has led to."""
        if not any(_is_below(path, link) for link in self._links):
            return False
        try:
            status = os.stat(os.path.join(self._root, path))
        except OSError:
            return False
        if (status.st_dev, status.st_ino) not in self._entered:
            return False
        self._listing.tally.add(_AGAIN, path + b"/")
        return True

    # Ignore files and problems

    def _read_ignore_file(self, folder: bytes) -> None:
        """Add the patterns of a folder's ignore file, if it has one.

        Raises
        ------
        OSError, CbirError
            It cannot be read: what it would leave out is not known, so nothing of the folder is taken.
        """
        path = os.path.join(self._root, folder, os.fsencode(IGNORE_FILE))
        try:
            descriptor = os.open(path, _FLAGS)
        except _GONE:
            return
        try:
            size = os.fstat(descriptor).st_size
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            if size > _IGNORE_BYTES:
                raise CbirError(f"its {IGNORE_FILE} has {size:,} bytes")
            with os.fdopen(os.dup(descriptor), "rb") as file:
                lines = file.read(_IGNORE_BYTES).decode("utf-8-sig", "surrogateescape").splitlines()
        except OSError as error:
            raise CbirError(f"its {IGNORE_FILE} cannot be read: {error.strerror or error}") from None
        finally:
            os.close(descriptor)
        self._ignores.append((folder, patterns(lines, f"its {IGNORE_FILE}")))

    def _cannot_list(self, folder: bytes, error: Exception) -> None:
        self._problem(folder, f"cannot be listed: {getattr(error, 'strerror', None) or error}")
        self.unlisted.append(folder)

    def _problem(self, path: bytes, what: str) -> None:
        full = shown(os.fsdecode(os.path.join(self._root, path) if path else self._root))
        self._listing.add_problem(uri_of(os.fsdecode(path)), f"{full} {what}")


_AGAIN = "folders behind links that are taken already"


def walk(root: str, choice: Choice, listing: Listing, *, progress: Progress = silent) -> list[str]:
    """List the files of a folder.

    Parameters
    ----------
    root : str
        An absolute path without links.
    choice : Choice
    listing : Listing
        Gets the files, in the order of their paths, those left out, and problems.
    progress : Progress
        Stage `list`.

    Returns
    -------
    list of str
        Uris of what was not looked into: stored places at and below them may be there.

    Raises
    ------
    OSError
        The root itself cannot be read.
    OptionError
        A pattern that is none.
    """
    walked = Walk(os.fsencode(root), choice, listing, progress)
    walked.run()
    return [uri_of(os.fsdecode(path)) for path in walked.unlisted]


def _is_below(path: bytes, folder: bytes) -> bool:
    return path.startswith(folder.rstrip(b"/") + b"/") if folder else True


def _suffix(path: bytes) -> bytes:
    """Return what `suffix_of` does, of a path as bytes."""
    name = path[path.rfind(b"/") + 1 :].strip()
    dot = name.rfind(b".")
    return name[dot:].lower() if dot > 0 else b""


def _ending(suffix: bytes) -> str:
    """Return a suffix as a reason lists it; the end of a sentence is none."""
    return shown(os.fsdecode(suffix)) if suffix and len(suffix) <= _LONGEST and b" " not in suffix else "no ending"


def _kind(entry: "os.DirEntry[bytes]") -> str:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return ""
    kinds = {stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    return kinds.get(stat.S_IFMT(mode), "")


_SUFFIXES = frozenset(map(os.fsencode, SUFFIXES))
_ARCHIVES = tuple(map(os.fsencode, ARCHIVE_SUFFIXES))
