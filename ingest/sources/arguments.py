"""What is typed behind `cbir ingest`, opened as one source.

In: names of datasets, paths of folders, archives, pictures and lists, patterns,
addresses, and `-` for a list on standard input. Out: the source they all make.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from cbir.core.objects import is_object
from cbir.core.progress import Progress, silent
from cbir.core.uris import shown
from cbir.ingest.sources.addresses import is_address
from cbir.ingest.sources.archive import ArchiveSource
from cbir.ingest.sources.bucket import BucketSource, is_one_picture, shards_named
from cbir.ingest.sources.catalogue import NAMES, open_dataset, open_source, warn_of_namesake
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.entries import (
    ARCHIVE_SUFFIXES,
    entries,
    is_pattern,
    is_pipe,
    looks_like_list,
    matching,
)
from cbir.ingest.sources.folder import folder_name
from cbir.ingest.sources.listed import FILES, ListedSource
from cbir.ingest.sources.parquet_paths import column_of_paths, paths_in
from cbir.ingest.sources.readers import archive_kind
from cbir.ingest.sources.several import SeveralSources
from cbir.ingest.sources.source import Source, SourceError
from cbir.model.formats import SNIFFED_BYTES, SUFFIXES, sniff, suffix_of

STDIN = ("-", "/dev/stdin")


#: What an argument names, and its text: a `dataset`, a `folder`, an `archive`, a `bucket`, a `shard` in one; an
#: `entry`, which is a picture or an address; or what has entries, a `pattern`, a `list` (also of a `pipe`), a `table`
#: of paths or `stdin`.
_Named = tuple[str, str]


def open_sources(
    arguments: Sequence[str],
    folders: Sequence[Path] = (),
    cache: Path = Path(),
    *,
    choice: Choice | Callable[[Path | str], Choice] | None = None,
    null_separated: bool = False,
    allow_private: bool = False,
    may_be_empty: bool = False,
    stdin: IO[bytes] | None = None,
    progress: Progress = silent,
) -> Source:
    """Open what some arguments name.

    Parameters
    ----------
    arguments : sequence of str
        Datasets; folders; archives (zip, tar, Parquet); pictures; object storage (`s3://bucket/photos`);
        text files of paths and addresses; patterns such as `photos/**/*.jpg`; http(s) addresses; `-` for a list on
        standard input.
    folders, cache
        Where datasets are, as for `catalogue.open_source`.
    choice : Choice, or callable that returns one for the path of a folder or an archive, optional
        Which files are taken, and their labels; it does not apply to what is listed one by one.
    null_separated : bool
        Whether NUL ends the entries of lists.
    allow_private : bool
        Whether addresses may lead into a private network.
    may_be_empty : bool
        Whether folders may have no pictures, so that all that is stored of them can be pruned.
    stdin : binary file, optional
        Read for `-`; by default standard input.
    progress : Progress
        Stages `list` and `download`.

    Returns
    -------
    Source
        Its `name` is what the first argument is called.

    Raises
    ------
    SourceError
        Nothing of one of these names, no picture in it, or it is damaged.
    """
    chosen = choice if callable(choice) else lambda _: choice or Choice()
    if not arguments:
        raise SourceError(f"nothing to ingest: name a folder, an archive, a list, or a dataset ({', '.join(NAMES)})")
    named = list(dict.fromkeys(each for argument in arguments for each in _named(argument)))
    whole = _outermost([text for kind, text in named if kind == "folder"])
    archives = _together([text for kind, text in named if kind == "archive"])
    entries_ = [each for each in named if each[0] not in ("dataset", "folder", "archive", "bucket", "shard")]
    parts: dict[str, Source] = {}
    # In the order of the arguments; what is listed one by one is one source, in the place of the first.
    for kind, text in named:
        real = os.path.realpath(text)
        if kind == "dataset":
            warn_of_namesake(text, folders)
            parts[text] = open_dataset(text, folders, cache, progress=progress)
        elif kind == "bucket":
            parts[text] = BucketSource(text, chosen(text.rstrip("/")), progress=progress)
        elif kind == "shard":
            above = text.rpartition("/")[0]
            if above not in parts:
                beside = [each for kind, each in named if kind == "shard" and each.rpartition("/")[0] == above]
                parts[above] = BucketSource(above, chosen(above), shards=beside, progress=progress)
        elif kind == "folder":
            if real in whole and real not in parts:
                parts[real] = open_source(real, choice=chosen(Path(real)), may_be_empty=may_be_empty, progress=progress)
        elif kind == "archive":
            root, shards = archives[real]
            if str(root) not in parts:
                parts[str(root)] = ArchiveSource(root, shards, chosen(root), complete=not shards, progress=progress)
        elif "" not in parts:
            listed = _entries(entries_, null_separated, stdin)
            parts[""] = ListedSource(listed, _list_name(entries_), allow_private=allow_private, within=whole)
    return next(iter(parts.values())) if len(parts) == 1 else SeveralSources(list(parts.values()))


def _named(argument: str) -> list[_Named]:
    """Find out what an argument names."""
    path = os.path.expanduser(argument)  # noqa: PTH111 - a path of any bytes
    if argument in NAMES:
        return [("dataset", argument)]
    if argument in STDIN:
        return [("stdin", argument)]
    if is_address(argument):
        return [("entry", argument)]
    if is_object(argument):
        shards = [("shard", shard) for shard in shards_named(argument)]
        return shards or [("entry" if is_one_picture(argument) else "bucket", argument)]
    if is_pipe(path):
        return [("pipe", path)]
    if os.path.isdir(path):  # noqa: PTH112 - never raises
        return [("folder", path)]
    if os.path.isfile(path):  # noqa: PTH113 - never raises
        return [(_kind_of_file(path), path)]
    if is_pattern(argument):
        return _matched(path)
    if os.path.lexists(path):
        raise SourceError(f"{shown(argument)} is neither a file nor a folder, or a link that leads nowhere")
    raise SourceError(
        f"'{shown(argument)}' is neither a folder, nor a file, nor a dataset; the datasets are {', '.join(NAMES)}"
    )


def _kind_of_file(path: str) -> str:
    if (kind := archive_kind(Path(path))) is not None:
        return "table" if kind == "parquet" and column_of_paths(path) else "archive"
    if _is_picture(path):
        return "entry"
    if looks_like_list(path):
        return "list"
    raise SourceError(
        f"{shown(path)} is no picture, no archive (zip, tar, Parquet), and no list: the first lines of a list hold an "
        "address, or a path that exists, relative to the working directory"
    )


def _matched(pattern: str) -> list[_Named]:
    """Return the folders and archives that a pattern matches, and itself if it matches others.

    `**` matches the files in folders, so the folders themselves are left.
    """
    found: dict[_Named, None] = {}
    for path in matching(pattern):
        if path.lower().endswith(ARCHIVE_SUFFIXES) and archive_kind(Path(path)) is not None:
            found["archive", path] = None
        elif "**" not in pattern and os.path.isdir(path):  # noqa: PTH112 - a path of any bytes
            found["folder", path] = None
        else:
            found["pattern", pattern] = None
    if not found:
        raise SourceError(f"'{shown(pattern)}' matches nothing")
    return list(found)


def _list_name(given: Sequence[_Named]) -> str:
    kind, text = given[0]
    return folder_name(Path(text).with_suffix("")) if kind in ("list", "table") and len(given) == 1 else FILES


def _entries(given: Sequence[_Named], null_separated: bool, stdin: IO[bytes] | None) -> Iterator[str]:
    """Yield paths and addresses, those of lists and patterns included."""
    for kind, text in given:
        if kind == "entry":
            yield text
        elif kind == "pattern":
            for path in matching(text):
                archive = path.lower().endswith(ARCHIVE_SUFFIXES)
                if not archive and ("**" in text or not os.path.isdir(path)):  # noqa: PTH112
                    yield path
        elif kind == "table":
            yield from paths_in(text)
        elif kind == "stdin":
            yield from entries(stdin or sys.stdin.buffer, "standard input", null_separated=null_separated)
        else:
            try:
                with open(text, "rb") as file:  # noqa: PTH123 - a path of any bytes
                    yield from entries(file, shown(text), null_separated=null_separated)
            except OSError as error:
                raise SourceError(f"{shown(text)} cannot be read: {error.strerror or error}") from None


def _is_picture(path: str) -> bool:
    if suffix_of(path) in SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path of any bytes
            return sniff(file.read(SNIFFED_BYTES), path) is not None
    except OSError as error:
        raise SourceError(f"{shown(path)} cannot be read: {error.strerror or error}") from None


def _outermost(folders: Sequence[str]) -> list[str]:
    """Return the folders that lie in none of the others, without links, in their order."""
    real = list(dict.fromkeys(map(os.path.realpath, folders)))
    return [one for one in real if not any(one != other and Path(one).is_relative_to(other) for other in real)]


def _together(paths: Sequence[str]) -> dict[str, tuple[Path, list[Path]]]:
    """Return root and shards of each archive: a zip is a root; tars and tables of one folder are its shards."""
    folders: dict[Path, list[Path]] = {}
    for path in map(Path, dict.fromkeys(map(os.path.realpath, paths))):
        folders.setdefault(path if path.suffix.lower() == ".zip" else path.parent, []).append(path)
    found = {}
    for folder, shards in folders.items():
        root = (shards[0], []) if len(shards) == 1 else (folder, sorted(shards))
        found.update({str(shard): root for shard in shards})
    return found
