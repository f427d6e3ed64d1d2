"""Zips and tars, read member by member: whole ones, damaged ones, and those that were made to do harm."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import time as clock
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cbir.ingest.sources import tar_members
from cbir.ingest.sources.members import Member, MemberError, Members
from cbir.ingest.sources.tar_members import TarMembers, begins_as_tar
from cbir.ingest.sources.zip_members import ZipMembers, is_zip

FILES = {"a.jpg": b"first" * 1000, "deep/ü 2.png": bytes(range(256)) * 300, "empty.jpg": b"", "z.gif": b"last"}
KINDS = ("zip", "deflated.zip", "bzip2.zip", "lzma.zip", "streamed.zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


class Stream(io.RawIOBase):
    """Somewhere to write to where nobody can go back, such as standard output."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.written += data
        return len(data)


def archive(kind: str, files: dict[str, bytes] = FILES) -> bytes:
    if kind.endswith("zip"):
        target = Stream() if kind == "streamed.zip" else io.BytesIO()
        methods = {"zip": 0, "bzip2.zip": zipfile.ZIP_BZIP2, "lzma.zip": zipfile.ZIP_LZMA}
        with zipfile.ZipFile(target, "w", methods.get(kind, zipfile.ZIP_DEFLATED)) as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
        return bytes(target.written) if isinstance(target, Stream) else target.getvalue()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:") as tarred:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_500_000_000
            tarred.addfile(info, io.BytesIO(content))
    pack = {"tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}.get(kind, bytes)
    return pack(target.getvalue())


def members_of(path: Path) -> Members:
    with path.open("rb") as file:
        return ZipMembers(path) if is_zip(file) else TarMembers(path)


def listed(members: Members, wanted: int = 0) -> list[Member]:
    return list(members.listed(lambda name, size: wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_listed_and_read(tmp_path: Path, kind: str):
    (tmp_path / "x").write_bytes(archive(kind))
    members = members_of(tmp_path / "x")
    found = listed(members, wanted=4)
    assert [member.name for member in found] == list(FILES)
    assert [member.head for member in found] == [content[:4] for content in FILES.values()]
    assert members.problems == []
    assert all(member.modified > 0 and not member.problem for member in found)
    assert {member.name: members.read(member) for member in reversed(found)} == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_that_is_cut_off_what_is_there_is_read(tmp_path: Path, kind: str):
    content = archive(kind, {f"{number}.jpg": bytes([number]) * 2000 for number in range(40)})
    (tmp_path / "x").write_bytes(content[: len(content) // 2])
    members = members_of(tmp_path / "x")
    found = listed(members)
    assert members.problems or found[-1].problem or len(found) == 40  # as where one block was compressed
    whole = {}
    for member in found:
        with suppress(MemberError):
            whole[member.name] = members.read(member)
    assert all(content == bytes([int(name.partition(".")[0])]) * 2000 for name, content in whole.items())
    if kind not in ("tar.gz", "tar.bz2", "tar.xz", "bzip2.zip", "lzma.zip"):
        assert len(whole) >= 10


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_its_bytes_are_nothing_but_a_reason_comes_of_it(tmp_path: Path, data: st.DataObject):
    content = bytearray(archive(data.draw(st.sampled_from(KINDS))))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        if not content:
            return
    path = tmp_path / "x"
    path.write_bytes(content)
    members = members_of(path)
    for member in listed(members, wanted=100):
        with suppress(MemberError):
            assert len(members.read(member)) == member.size


def test_a_damaged_member_of_a_zip_is_told_by_its_checksum(tmp_path: Path):
    content = archive("zip").replace(b"firstfirst", b"firsyfirst", 1)
    (tmp_path / "x").write_bytes(content)
    members = members_of(tmp_path / "x")
    first, *others = listed(members)
    with pytest.raises(MemberError, match="checksum does not match"):
        members.read(first)
    assert [members.read(member) for member in others] == list(FILES.values())[1:]


def test_an_encrypted_member_has_a_reason(tmp_path: Path):
    content = bytearray(archive("zip"))
    content[6] |= 1
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    (tmp_path / "x").write_bytes(content)
    members = members_of(tmp_path / "x")
    first, second, *_ = listed(members)
    assert (first.problem, second.problem) == ("is encrypted", "")
    with pytest.raises(MemberError, match="is encrypted"):
        members.read(first)


def test_a_zip_behind_other_bytes_and_with_a_comment_is_found_whole(tmp_path: Path):
    target = io.BytesIO(archive("deflated.zip"))
    with zipfile.ZipFile(target, "a") as zipped:
        zipped.comment = b"PK\x05\x06 as in an end" * 100
    (tmp_path / "x").write_bytes(target.getvalue())
    members = ZipMembers(tmp_path / "x")
    assert [members.read(member) for member in listed(members)] == list(FILES.values())
    (tmp_path / "x").write_bytes(b"#!/bin/sh\n" * 50 + archive("deflated.zip"))
    members = ZipMembers(tmp_path / "x")
    assert [members.read(member) for member in listed(members)] == list(FILES.values())


def test_a_zip_of_more_than_65535_members_is_listed(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x", "w") as zipped:
        for number in range(65_600):
            zipped.writestr(zipfile.ZipInfo(f"{number}"), b"")
    assert len(listed(ZipMembers(tmp_path / "x"))) == 65_600


#: Bytes and what a zip has for them: more than one piece of what is packed, and of what it unpacks to.
STREAMED = {**FILES, "noise.png": random.Random(0).randbytes(600_000), "flat.bmp": bytes(1 << 20), "end.jpg": b"end"}


def streamed(*, wide: bool = False, signed: bool = True, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip that tells behind each member how long it is, in 8 bytes if it is `wide`."""
    target = Stream()
    with zipfile.ZipFile(target, "w", method) as zipped:
        for name, content in STREAMED.items():
            with zipped.open(name, "w", force_zip64=wide) as member:
                member.write(content)
    return bytes(target.written) if signed else bytes(target.written).replace(b"PK\x07\x08", b"")


@pytest.mark.parametrize(
    "content",
    [
        archive("zip", STREAMED),
        archive("deflated.zip", STREAMED),
        b"PK\x07\x08" + archive("deflated.zip", STREAMED),
        streamed(),
        streamed(signed=False),
        streamed(wide=True),
        streamed(wide=True, signed=False),
    ],
    ids=["plain", "deflated", "spanned", "streamed", "unsigned", "wide", "wide and unsigned"],
)
def test_a_zip_without_its_directory_has_all_its_members(tmp_path: Path, content: bytes):
    (tmp_path / "x").write_bytes(content[: content.index(b"PK\x01\x02")])
    members = members_of(tmp_path / "x")
    assert {member.name: members.read(member) for member in listed(members)} == STREAMED
    assert members.problems == ["its end is missing: the members before that are read"]


def test_what_cannot_be_found_without_a_directory_is_told(tmp_path: Path):
    content = streamed(method=zipfile.ZIP_STORED)
    (tmp_path / "x").write_bytes(content[: content.index(b"PK\x01\x02")])
    members = members_of(tmp_path / "x")
    assert listed(members) == []
    assert members.problems[1:] == ["what follows a.jpg cannot be found without the zip's directory"]


def test_a_directory_that_ends_too_early_is_told_and_an_empty_one_is_none_of_that(tmp_path: Path):
    content = archive("zip")
    end = bytearray(content[-22:])
    end[8:12] = struct.pack("<2H", 9, 9)
    (tmp_path / "x").write_bytes(content[:-22] + end)
    members = ZipMembers(tmp_path / "x")
    assert [members.read(member) for member in listed(members)] == list(FILES.values())
    assert members.problems == ["its directory is damaged after 4 of 9 members"]
    (tmp_path / "x").write_bytes(archive("zip", {}))
    members = members_of(tmp_path / "x")
    assert (listed(members), members.problems) == ([], [])


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """A clock that is not that of Greenwich: a zip's times are of none in particular."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XXX-9")
        clock.tzset()
        yield
    clock.tzset()


@pytest.mark.parametrize(
    "narrow", [(3, 0xFFFFFFFF, 0xFFFFFFFF), (0xFFFF, 0, 0), (9, 0xFFFFFFFF, 0), (9, 0, 0xFFFFFFFF)]
)
@pytest.mark.usefixtures("elsewhere")
def test_a_zip_is_read_with_what_does_not_fit_where_it_used_to_be(tmp_path: Path, narrow: tuple[int, int, int]):
    date, time = (2021 - 1980) << 9 | 3 << 5 | 4, 5 << 11 | 6 << 5 | 8 // 2
    unix = 3 << 8
    entries = [  # name, made by, attributes, date, which of size, packed size and offset are in the extra field
        (b"\x81.jpg", 0, 0o120777 << 16, date, (True, True, True)),
        (b"folder/", unix, 0o040755 << 16, date, (False, False, True)),
        ("ü.png".encode(), unix, 0o100644 << 16, 0, (False, True, True)),
        (b"link.png", unix, 0o120777 << 16, date, (False, False, False)),
        (b"z.png", unix, 0o100644 << 16, date, (True, False, False)),
    ]
    body, directory = b"", b""
    for name, made_by, attributes, day, wide in entries:
        data, offset = b"" if name.endswith(b"/") else name * 100, len(body)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        told, crc = (len(data), len(packed), offset), zlib.crc32(data)
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 8, time, day, crc, len(packed), len(data), len(name), 0)
        body += name + packed
        extra = struct.pack("<2H5s", 0x5455, 5, b"clock")  # another program's comes first
        extra += struct.pack(
            f"<2H{sum(wide)}Q", 1, 8 * sum(wide), *(n for n, far in zip(told, wide, strict=True) if far)
        )
        size, length, at = (0xFFFFFFFF if far else n for n, far in zip(told, wide, strict=True))
        directory += struct.pack("<4s6H3L", b"PK\x01\x02", made_by, 45, 0, 8, time, day, crc, length, size)
        directory += struct.pack("<5H2L", len(name), len(extra), 0, 0, 0, attributes, at) + name + extra
    number, count = len(entries), narrow[0]
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, len(directory), len(body))
    end += struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    end += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, *narrow[1:], 0)
    (tmp_path / "x").write_bytes(body + directory + end)
    members = ZipMembers(tmp_path / "x")
    found = listed(members)
    assert [member.name for member in found] == ["ü.jpg", "ü.png", "link.png", "z.png"]
    assert [member.left_out for member in found] == ["", "", "links", ""]
    moment = 1_614_834_368_000_000_000  # 2021-03-04 05:06:08
    assert [member.modified for member in found] == [moment, 0, moment, moment]
    contents = [b"\x81.jpg", "ü.png".encode(), b"link.png", b"z.png"]
    assert [members.read(member) for member in found] == [content * 100 for content in contents]
    assert members.problems == []


def overlapping_bomb(count: int) -> bytes:
    """A zip of one file's bytes that a directory names many times (D. Fifield, 2019)."""
    zeros = 10 << 20
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packed.compress(bytes(zeros)) + packed.flush()
    crc = zlib.crc32(bytes(zeros))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, crc, len(body), zeros, 5, 0) + b"a.png" + body
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, crc, len(body), zeros, 5, 0, 0, 0, 0, 0, 0)
    directory = count * (entry + b"a.png")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(local), 0)
    return local + directory + end


def test_members_that_share_their_bytes_are_not_read(tmp_path: Path):
    (tmp_path / "x").write_bytes(overlapping_bomb(200))
    problems = [member.problem for member in listed(ZipMembers(tmp_path / "x"))]
    assert problems[0] == ""
    assert sum("bomb" in problem for problem in problems) >= 198


def test_what_unpacks_to_far_more_than_it_is_is_not_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("bomb.png", bytes(70 << 20))
        zipped.writestr("flat.bmp", bytes(1 << 20))  # as an empty drawing does
    bomb, flat = listed(ZipMembers(tmp_path / "x"))
    assert "as no picture does" in bomb.problem
    assert ZipMembers(tmp_path / "x").read(flat) == bytes(1 << 20)


def test_a_size_that_lies_gives_no_more_bytes_than_it_says(tmp_path: Path):
    content = archive("deflated.zip", {"a.png": bytes(1 << 20)})
    (tmp_path / "x").write_bytes(content.replace(struct.pack("<L", 1 << 20), struct.pack("<L", 100)))
    members = ZipMembers(tmp_path / "x")
    with pytest.raises(MemberError, match="checksum"):
        members.read(listed(members)[0])


def test_a_tar_whose_header_points_backwards_ends_there(tmp_path: Path):
    info = tarfile.TarInfo("a.png")
    header = bytearray(info.tobuf())
    header[124:136] = b"\xff" * 11 + b"\x00"  # a negative size
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "x").write_bytes(archive("tar", {"0.png": b"0"})[:1024] + bytes(header) + bytes(2048))
    members = TarMembers(tmp_path / "x")
    assert listed(members)[0].name == "0.png"
    assert members.problems


def test_a_tar_with_something_else_between_its_members_is_read_up_to_there(tmp_path: Path):
    (tmp_path / "x").write_bytes(archive("tar", {"a.png": b"a", "b.png": b"b"})[:2048] + b"else" * 512)
    members = TarMembers(tmp_path / "x")
    assert [members.read(member) for member in listed(members)] == [b"a", b"b"]
    assert [problem.partition(":")[0] for problem in members.problems] == ["it is damaged after 2 members"]


def test_a_file_with_holes_in_a_tar_is_not_read_without_them(tmp_path: Path):
    with tarfile.open(tmp_path / "x", "w", format=tarfile.GNU_FORMAT) as tarred:
        info = tarfile.TarInfo("a.bmp")
        info.type = tarfile.GNUTYPE_SPARSE
        tarred.addfile(info)
    members = TarMembers(tmp_path / "x")
    (member,) = listed(members)
    with pytest.raises(MemberError, match="stored with holes"):
        members.read(member)


def test_links_and_devices_in_a_tar_are_no_files(tmp_path: Path):
    with tarfile.open(tmp_path / "x", "w") as tarred:
        for name, kind in (("link.jpg", tarfile.SYMTYPE), ("hard.jpg", tarfile.LNKTYPE), ("null", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tarred.addfile(info)
    assert [member.left_out for member in listed(TarMembers(tmp_path / "x"))] == [
        "links",
        "links",
        "devices and the like",
    ]


def test_a_compressed_tar_that_unpacks_for_ever_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tar_members, "_UNPACKED_BYTES", 1 << 20)
    (tmp_path / "x").write_bytes(archive("tar.gz", {"a.jpg": b"a", "bomb": bytes(30 << 20), "z.jpg": b"z"}))
    members = TarMembers(tmp_path / "x")
    assert [member.name for member in listed(members)] == ["a.jpg", "bomb"]
    assert "as no pictures do" in members.problems[0]


@pytest.mark.parametrize(
    "content", [b"", b"text\n" * 200, bytes(1024), b"\x1f\x8b", b"BZh9", gzip.compress(b"text", mtime=0)]
)
def test_what_is_no_tar_is_none(content: bytes):
    assert not begins_as_tar(io.BytesIO(content))
    assert not is_zip(io.BytesIO(content))
