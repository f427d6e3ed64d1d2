"""The members of a zip, read one by one from the file as it is.

`zipfile` keeps a record of each member in memory, and one damaged entry, or a
missing end, keeps it from opening the whole; so the directory is read here,
entry by entry, and a zip without its end is read from its beginning. What
unpacks a member is `zipfile`'s.
Format: PKWARE, ".ZIP File Format Specification" (APPNOTE.TXT), version 6.3.10, 2022.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from cbir.core.errors import first_line
from cbir.core.uris import shown
from cbir.ingest.sources.members import Member, MemberError, Wanted, refuse_size
from cbir.model.picture import MAX_BYTES

_LOCAL, _ENTRY, _END, _END64, _LOCATOR64 = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_SPANNED = b"PK\x07\x08"
# version needed, flags, method, time, date, CRC, packed size, size, length of the name, of the extra field
_LOCAL_FORM = struct.Struct("<4s5H3L2H")
# as above after the version made by; then length of the comment, disk, inner attributes, outer attributes, offset
_ENTRY_FORM = struct.Struct("<4s6H3L5H2L")
_END_FORM, _END64_FORM = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED, _LATER, _UTF8 = 1, 8, 0x800
_DEFLATED, _SUPPORTED = 8, frozenset((0, 8, 12, 14))
_IN_ZIP64 = 0xFFFFFFFF
#: Bytes that are looked through for the end: a comment has 65,535 at the most.
_TAIL = 1 << 17
_CHUNK = 1 << 18
_SECOND = 1_000_000_000


def is_zip(file: IO[bytes]) -> bool:
    """Tell whether a file begins as a zip does; one that begins with a program unpacking itself is none here."""
    start = file.read(8)
    return start[:4] in (_LOCAL, _END) or start == _SPANNED + _LOCAL


class ZipMembers:
    """A zip, to be listed once, and read from in any thread.

    Parameters
    ----------
    path : Path
    """

    forward_only = False
    beside = False
    checked = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems: list[str] = []

    def listed(self, wanted: Wanted) -> Iterator[Member]:
        """Yield the members in the directory's order; without a directory, in the file's."""
        with self._path.open("rb") as file:
            directory = _find_directory(file)
            if directory is None:
                self.problems.append("its end is missing: the members before that are read")
                found = self._salvaged(file)
            else:
                found = self._entries(file, directory)
            for member in found:
                if not member.problem and not member.left_out and (size := wanted(member.name, member.size)):
                    with suppress(MemberError):
                        yield replace(member, head=self._unpacked(member, size))
                        continue
                yield member

    def _entries(self, file: IO[bytes], directory: "_Directory") -> Iterator[Member]:
        file.seek(directory.start)
        claimed = 0
        for number in range(directory.count):
            head = file.read(_ENTRY_FORM.size)
            if len(head) < _ENTRY_FORM.size or head[:4] != _ENTRY:
                self.problems.append(f"its directory is damaged after {number:,} of {directory.count:,} members")
                return
            fields = _ENTRY_FORM.unpack(head)
            flags, method, time, date, crc, packed, size, name_length, extra_length, comment = fields[3:13]
            attributes, offset = fields[15:]
            name = _name(file.read(name_length), flags)
            size, packed, offset = _wide(file.read(extra_length), size, packed, offset)
            file.seek(comment, os.SEEK_CUR)
            if name.endswith("/"):
                continue
            # Members that share their bytes make a bomb of a few kilobytes (D. Fifield, "A better zip bomb", 2019).
            claimed += packed
            shared = "" if claimed <= directory.start else "shares its bytes with other members, as in a bomb"
            place = (directory.shift + offset, packed, method, crc)
            problem = _refused(flags, method, size, packed) or shared
            left_out = "links" if _is_link(attributes, fields[1]) else ""
            yield Member(name, size, _modified(date, time), place, problem, left_out)

    def _salvaged(self, file: IO[bytes]) -> Iterator[Member]:
        """Yield the members that are whole in a zip without a directory."""
        end = file.seek(0, os.SEEK_END)
        start = 0
        while True:
            file.seek(start)
            head = file.read(_LOCAL_FORM.size)
            if head[:4] == _SPANNED:
                start += 4
                continue
            if len(head) < _LOCAL_FORM.size or head[:4] != _LOCAL:
                return
            _, _, flags, method, time, date, crc, packed, size, name_length, extra_length = _LOCAL_FORM.unpack(head)
            name = _name(file.read(name_length), flags)
            size, packed, _ = _wide(file.read(extra_length), size, packed, 0)
            data = start + _LOCAL_FORM.size + name_length + extra_length
            after = data + packed
            if flags & _LATER and not size:  # written as a stream: how much it is stands behind it
                if method != _DEFLATED or flags & _ENCRYPTED:
                    self.problems.append(f"what follows {shown(name)} cannot be found without the zip's directory")
                    return
                unpacked = _measured(file, data)
                if unpacked is None:
                    return
                packed, size, crc = unpacked
                after = _behind_descriptor(file, data + packed)
            if after > end:
                return
            if not name.endswith("/"):
                problem = _refused(flags, method, size, packed)
                yield Member(name, size, _modified(date, time), (start, packed, method, crc), problem)
            start = after

    def read(self, member: Member, most: int = MAX_BYTES) -> bytes:
        """Return a member's content; see `Members.read`."""
        if problem := member.problem or refuse_size(member.size, member.place[1], most):
            raise MemberError(problem)
        content = self._unpacked(member)
        if len(content) != member.size:
            raise MemberError(f"is cut off after {len(content):,} of {member.size:,} bytes")
        return content

    def _unpacked(self, member: Member, size: int = -1) -> bytes:
        start, packed, method, crc = member.place
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                head = file.read(_LOCAL_FORM.size)
                if len(head) < _LOCAL_FORM.size or head[:4] != _LOCAL:
                    raise MemberError("is not where the archive says: it is damaged, or was changed")
                *_, name_length, extra_length = _LOCAL_FORM.unpack(head)
                file.seek(name_length + extra_length, os.SEEK_CUR)
                info = zipfile.ZipInfo("member")
                info.compress_type, info.CRC, info.compress_size, info.file_size = method, crc, packed, member.size
                with zipfile.ZipExtFile(file, "r", info) as unpacked:
                    return unpacked.read(size)
        except MemberError:
            raise
        except Exception as error:  # noqa: BLE001 - four libraries unpack, each with errors of its own
            raise MemberError(f"cannot be unpacked: {_reason(error)}") from None


@dataclass(frozen=True)
class _Directory:
    """Where a zip's directory starts, how many entries it has, and how far the offsets in it are off."""

    start: int
    count: int
    shift: int


def _find_directory(file: IO[bytes]) -> _Directory | None:
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _TAIL))
    tail = file.read(_TAIL)
    at = tail.rfind(_END)
    while at >= 0:
        if found := _directory_at(file, tail[at:], max(0, length - _TAIL) + at):
            return found
        at = tail.rfind(_END, 0, at)  # that was a comment's, or of another zip within
    return None


def _directory_at(file: IO[bytes], record: bytes, end: int) -> _Directory | None:
    if len(record) < _END_FORM.size:
        return None
    _, disk, first_disk, _, count, size, offset, _ = _END_FORM.unpack_from(record)
    if count == 0xFFFF or size == _IN_ZIP64 or offset == _IN_ZIP64:
        file.seek(max(0, end - 20 - _END64_FORM.size))
        wide = file.read(20 + _END64_FORM.size)
        # Right before its locator, unless a program put its own data there.
        if wide[-20:-16] == _LOCATOR64 and wide[:4] == _END64:
            *_, count, size, offset = _END64_FORM.unpack_from(wide)
            end -= 20 + _END64_FORM.size
    elif disk != first_disk:
        return None
    start = end - size
    if start < 0 or (count and start - offset < 0):
        return None
    file.seek(start)
    if count and file.read(4) != _ENTRY:
        return None
    return _Directory(start, count, start - offset)


def _name(raw: bytes, flags: int) -> str:
    """Return a name; bytes that are not what its flag says are kept, as file names keep them."""
    if flags & _UTF8:
        return raw.decode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")  # most that write other names than ASCII write these, whatever they say
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return sizes and offset, those that do not fit into 32 bits out of the extra field."""
    values = [size, packed, offset]
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            wide = list(struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4))
            values = [wide.pop(0) if value == _IN_ZIP64 and wide else value for value in values]
        extra = extra[4 + length :]
    return values[0], values[1], values[2]


def _refused(flags: int, method: int, size: int, packed: int) -> str:
    if flags & _ENCRYPTED:
        return "is encrypted"
    if method not in _SUPPORTED:
        return f"is packed by a method that is not read (number {method})"
    return refuse_size(size, packed, MAX_BYTES)


def _is_link(attributes: int, made_by: int) -> bool:
    """Tell whether an entry is a symbolic link, which only Unix writes."""
    return made_by >> 8 == 3 and (attributes >> 28) == 0o12


def _modified(date: int, time: int) -> int:
    try:
        moment = datetime(
            1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, 2 * (time & 31), tzinfo=UTC
        )
    except ValueError:
        return 0
    return int(moment.timestamp()) * _SECOND


def _measured(file: IO[bytes], data: int) -> tuple[int, int, int] | None:
    """Return packed size, size and CRC of what is deflated from an offset on; None if its end is missing."""
    file.seek(data)
    unpacker, packed, size, crc = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0, 0
    while not unpacker.eof:
        chunk = file.read(_CHUNK)
        if not chunk:
            return None
        try:
            while chunk and not unpacker.eof:
                out = unpacker.decompress(chunk, _CHUNK)
                size, crc = size + len(out), zlib.crc32(out, crc)
                # At its end, what follows may stand in both.
                packed += len(chunk) - len(unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail)
                chunk = unpacker.unconsumed_tail
        except zlib.error:
            return None
        if size > MAX_BYTES and size > 200 * packed:
            return None
    return packed, size, crc


def _behind_descriptor(file: IO[bytes], at: int) -> int:
    """Return where the next member begins, after CRC and sizes with or without a signature, of 4 or 8 bytes each."""
    file.seek(at)
    following = file.read(28)
    signed = 4 if following[:4] == _SPANNED else 0
    for length in (signed + 12, signed + 20):
        if following[length : length + 4] in (_LOCAL, _ENTRY):
            return at + length
    return at + signed + 12


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or first_line(error)
    return "its checksum does not match" if text.startswith("Bad CRC") else text
