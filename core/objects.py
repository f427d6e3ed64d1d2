"""Objects in somebody's storage, `s3://bucket/key` or `gs://bucket/key`, read by fsspec and what it needs for each.

In: addresses. Out: what lies below one, and the bytes of each. Keys and endpoints come from where the providers' own
tools have them: `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, a machine's own role.
"""

import errno
import hashlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO, Any, cast

from cbir.core.errors import CbirError, first_line
from cbir.core.extras import to_install

_OBJECTS = re.compile(r"(s3|gs)://[^/\s]+")
#: What fsspec takes for the end of a key, wherever it stands: another object would be read.
_VERSION = "?versionId="
_PARTS = 1 << 62
#: Keys that are listed at once: as many as S3 does.
_PAGE = 1000
#: Bytes of a part, of what is read as a file.
_BLOCK = 1 << 18


class ObjectError(CbirError):
    """Storage that cannot be reached, or an object that cannot be read; the message names it."""


class StorageFault(OSError):  # noqa: N818 - as `OSError` has it: what reads archives knows it as one
    """Bytes of an object that did not come, which says nothing about what is in it."""


@dataclass(frozen=True)
class Stored:
    """An object.

    Attributes
    ----------
    name : str
        Its key below what was listed.
    size : int
        In bytes.
    modified : int
        In nanoseconds since 1970; 0 if unknown.
    tag : int
        Another content has another one (its ETag); 0 if unknown.
    is_folder : bool
        It is none, but stands for those whose keys go on behind it.
    """

    name: str
    size: int
    modified: int
    tag: int
    is_folder: bool = False


def is_object(text: str) -> bool:
    """Tell whether a text is the address of an object, or of what is above some."""
    return _OBJECTS.match(text) is not None


def unreadable_key(key: str) -> str:
    """Return what of a key keeps it from being read as a path below an address; empty if nothing does."""
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        return "keys with an empty name, '.' or '..' between slashes"
    return f"keys with {_VERSION}" if _VERSION in key else ""


def stored_below(address: str) -> Iterator[Stored]:
    """Yield the objects below an address, in the order of their keys; some thousand are held at a time.

    Raises
    ------
    ObjectError
        The storage cannot be reached, refuses, or what reads it is not installed.
    """
    yield from _listed(address, deep=True)


def stored_in(address: str) -> Iterator[Stored]:
    """Yield what lies right below an address, with addresses for names; held as by `stored_below`."""
    above = address.rstrip("/")
    for each in _listed(address, deep=False):
        yield replace(each, name=f"{above}/{each.name}")


def _listed(address: str, *, deep: bool) -> Iterator[Stored]:
    system, top = _opened(address)
    top = top.rstrip("/")
    listed = _listed_by_s3 if address.startswith("s3:") else _listed_by_google
    try:
        for entry in listed(system, top, deep=deep):
            name, is_folder = entry["name"][len(top) + 1 :], entry["type"] == "directory"
            # An object whose key ends with a slash stands for an empty folder.
            if name and not name.endswith("/"):
                yield Stored(name, entry["size"] or 0, _modified(entry), _tag(entry), is_folder)
    except FileNotFoundError:
        raise ObjectError(f"{address} does not exist") from None
    except ObjectError:
        raise
    except Exception as error:  # noqa: BLE001 - each provider has errors of its own
        raise ObjectError(f"{address} cannot be listed: {first_line(error)}") from None


def _listed_by_s3(system: Any, top: str, *, deep: bool) -> Iterator[dict[str, Any]]:
    """Yield what S3 lists, a page of 1,000 at a time: s3fs holds a whole folder, a kilobyte an object."""
    bucket, key, _ = system.split_path(top)  # an access point has slashes in its name
    asked = {
        "Bucket": bucket,
        "Prefix": f"{key}/" if key else "",
        "MaxKeys": _PAGE,
        **({} if deep else {"Delimiter": "/"}),
    }
    met = not key
    while True:
        page = system.call_s3("list_objects_v2", **asked, **system.req_kw)
        for each in page.get("CommonPrefixes", ()):
            met = True
            yield {"name": f"{bucket}/{each['Prefix'][:-1]}", "size": 0, "type": "directory"}
        for each in page.get("Contents", ()):
            met = True
            yield {**each, "name": f"{bucket}/{each['Key']}", "size": each["Size"], "type": "file"}
        if not page.get("IsTruncated"):
            break
        asked["ContinuationToken"] = page["NextContinuationToken"]
    if not met:
        raise FileNotFoundError(top)


def _listed_by_google(system: Any, top: str, *, deep: bool) -> Iterator[dict[str, Any]]:
    """Yield what Google lists, a page at a time: gcsfs holds a whole folder, and loses what has an empty name."""
    bucket, _, key = top.partition("/")
    asked = {
        "prefix": f"{key}/" if key else None,
        "maxResults": _PAGE,
        "delimiter": None if deep else "/",
    }
    met = not key
    while True:
        page = system.call("GET", "b/{}/o", bucket, json_out=True, **asked)
        for each in page.get("prefixes", ()):
            met = True
            yield {"name": f"{bucket}/{each[:-1]}", "size": 0, "type": "directory"}
        for each in page.get("items", ()):
            met = True
            yield {**each, "name": f"{bucket}/{each['name']}", "size": int(each.get("size", 0)), "type": "file"}
        if not page.get("nextPageToken"):
            break
        asked["pageToken"] = page["nextPageToken"]
    if not met:
        raise FileNotFoundError(top)


def stat_object(address: str) -> Stored | None:
    """Return an object; None if there is none of this address; raises as `stored_below`."""
    system, path = _opened(address)
    try:
        entry = system.info(path)
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - as above
        raise ObjectError(f"{address} cannot be read: {first_line(error)}") from None
    return Stored(address, entry["size"] or 0, _modified(entry), _tag(entry)) if entry["type"] == "file" else None


def read_object(address: str, most: int | None = None) -> bytes:
    """Return an object's bytes, its first `most` if that is given.

    Raises
    ------
    ObjectError
        As `stored_below`.
    """
    system, path = _opened(address)
    try:
        return system.cat_file(path, end=most)
    except FileNotFoundError:
        raise ObjectError(f"{address} does not exist") from None
    except Exception as error:  # noqa: BLE001 - as above
        raise ObjectError(f"{address} cannot be read: {first_line(error)}") from None


class ObjectFile:
    """An object that is read as a file: what `pathlib.Path` is asked for where archives are opened.

    Parameters
    ----------
    address : str
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._size: int | None = None
        self._asked: Any = None

    def __str__(self) -> str:
        return self._address

    def is_file(self) -> bool:
        """Return True: it was listed."""
        return True

    def open(self, mode: str) -> IO[bytes]:
        """Open it for reading, by parts; StorageFault where that fails, or reading does."""
        system, path = _opened(self._address)
        try:
            if self._address.startswith("gs:"):
                return cast("IO[bytes]", _Parts(self._version(system, path)))
            # The size spares two requests; all that is known of an archive is of its size now.
            file = system.open(path, mode, block_size=_BLOCK, cache_type="readahead", size=self._size)
            if self._size is None:
                self._size, self._asked = file.size, getattr(file, "read_kw", None)
            elif self._asked is not None:
                # Whose size is given, s3fs reads whatever is there by then: parts of two objects would be mixed.
                file.read_kw = self._asked
        except Exception as error:  # noqa: BLE001 - as above
            raise _fault(error) from None
        return cast("IO[bytes]", _Parts(file))

    def _version(self, system: Any, path: str) -> "_Version":
        """Return an object of Google's as it was when it was opened first: gcsfs reads whatever is there by then."""
        if self._size is None:
            entry = system.info(path)
            if entry["type"] != "file":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._address)
            self._size, self._asked = entry["size"], entry.get("generation")
        return _Version(system, path, self._size, self._asked)


class _Version:
    """A version of an object, as a file; of one that was replaced, the storage says that it is gone."""

    def __init__(self, system: Any, path: str, size: int, generation: str | None) -> None:
        from fsspec.caching import ReadAheadCache

        self._size, self._at = size, 0
        self._cache = ReadAheadCache(
            _BLOCK, lambda start, end: system.cat_file(path, start=start, end=end, generation=generation), size
        )

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        self._at = position + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        content = self._cache._fetch(self._at, end) if end > self._at else b""
        self._at += len(content)
        return bytes(content)

    def close(self) -> None:
        pass


class _Parts(io.RawIOBase):
    """An open object; whatever keeps its bytes from coming is a StorageFault: some are no OSError, as timeouts."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(position, whence))

    def read(self, size: int = -1) -> bytes:
        try:
            return bytes(self._file.read(size))
        except Exception as error:  # noqa: BLE001 - as above
            raise _fault(error) from None

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def _fault(error: Exception) -> StorageFault:
    return StorageFault(errno.EIO, getattr(error, "strerror", None) or first_line(error))


def matching(pattern: str) -> list[Stored]:
    """Return what a pattern such as `s3://bucket/shards/*.tar` matches, sorted and with addresses for names.

    Raises
    ------
    ObjectError
        As `stored_below`.
    """
    system, path = _opened(pattern)
    scheme = pattern.partition("://")[0]
    try:
        found = system.glob(path, detail=True)
    except FileNotFoundError:
        return []
    except Exception as error:  # noqa: BLE001 - as above
        raise ObjectError(f"{pattern} cannot be listed: {first_line(error)}") from None
    return [
        Stored(f"{scheme}://{name}", each["size"] or 0, _modified(each), _tag(each), each["type"] == "directory")
        for name, each in sorted(found.items())
        if not name.endswith("/")
    ]


def _opened(address: str) -> tuple[Any, str]:
    scheme = address.partition("://")[0]
    try:
        import fsspec

        # Without its cache, which would hold all that was ever listed. By its scheme alone: in a whole address, fsspec
        # takes `::`, which a key may have, for the address of another file.
        system = fsspec.filesystem(scheme, use_listings_cache=False)
        path = system._strip_protocol(address)
    except ImportError as error:
        raise ObjectError(f"to read {scheme}:// ({first_line(error)}): {to_install(scheme)}") from None
    except Exception as error:  # noqa: BLE001 - as above
        raise ObjectError(f"{address} cannot be opened: {first_line(error)}") from None
    if _VERSION in path:
        raise ObjectError(
            f"{address} cannot be read: what follows {_VERSION} would be taken for a version of the object"
        )
    return system, path


def _modified(entry: dict[str, Any]) -> int:
    time = entry.get("LastModified") or entry.get("updated") or entry.get("mtime")
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    return int(time.timestamp() * 1000) * 1_000_000 if isinstance(time, datetime) else 0


def _tag(entry: dict[str, Any]) -> int:
    tag = entry.get("ETag") or entry.get("etag") or entry.get("md5Hash")
    return int.from_bytes(hashlib.blake2b(str(tag).encode(), digest_size=8).digest()) % _PARTS if tag else 0
