"""What a picture's file says: when, where and with what it was taken."""

import pytest

from cbir.model.details import Details
from cbir.model.exif import Exif, read
from cbir.model.picture import decoded, details_of
from tests.model.half_light import half_light
from tests.model.made import MAKE, MODEL, exif_segment, saved, tiff_block, with_segments

TAKEN, DIGITIZED, ZONE, LENS = 36867, 36868, 36881, 42036


@pytest.mark.parametrize("order", "<>")
def test_what_a_phone_says_is_read(order: str):
    block = tiff_block(
        {MAKE: (2, b"Google\0"), MODEL: (2, b"Pixel 8\0")},
        {TAKEN: (2, b"2024:06:01 12:30:45\0"), ZONE: (2, b"+02:00\0"), LENS: (2, b"  Wide \0")},
        {1: (2, b"S\0"), 2: (5, [33, 1, 30, 1, 0, 1]), 3: (2, b"W\0"), 4: (5, [70, 1, 45, 1, 1800, 100])},
        order,
    )
    content = with_segments(saved(half_light("RGB", (48, 32)), "JPEG"), exif_segment(block))
    assert details_of(content, "x") == decoded(content, "x").details
    assert details_of(content, "x").payload() == {
        "width": 48,
        "height": 32,
        "format": "JPEG",
        "taken_at": "2024-06-01T12:30:45Z",
        "camera": "Pixel 8",
        "lens": "Wide",
        "gps": {"lon": -70.755, "lat": -33.5},
    }


def test_what_is_not_known_is_no_field():
    assert details_of(saved(half_light("L", (9, 9)), "GIF"), "x").payload() == {
        "width": 9,
        "height": 9,
        "format": "GIF",
    }
    assert Details(1, 2, "PNG", warning="odd").payload()["warning"] == "odd"


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (b"2024:06:01 12:30:45\0", "2024-06-01T12:30:45Z"),
        (b"2024-06-01T12:30:45\0", "2024-06-01T12:30:45Z"),
        (b"2024:06:01 12:30\0", "2024-06-01T12:30:00Z"),
        (b"2024:6:1 2:30:45\0", "2024-06-01T02:30:45Z"),
        (b"0000:00:00 00:00:00\0", None),
        (b"2024:02:30 12:30:45\0", None),
        (b"    :  :     :  :  \0", None),
        (b"2024:06:01\0", None),
        (b"", None),
    ],
)
def test_times_are_those_that_exist(written: bytes, read_as: str | None):
    assert read(tiff_block({}, {TAKEN: (2, written)})).taken_at == read_as


def test_a_scanned_picture_has_the_time_of_its_scan():
    block = tiff_block({}, {TAKEN: (2, b"0000:00:00 00:00:00\0"), DIGITIZED: (2, b"2001:02:03 04:05:06\0")})
    assert read(block).taken_at == "2001-02-03T04:05:06Z"


@pytest.mark.parametrize("zone", [b"+02:00\0", b"-11:00\0", b"Z\0", b"", b"Europe"])
def test_the_day_of_a_picture_is_the_one_that_the_camera_s_clock_showed(zone: bytes):
    block = tiff_block({}, {TAKEN: (2, b"2024:06:01 00:30:45\0"), ZONE: (2, zone)})
    assert read(block).taken_at == "2024-06-01T00:30:45Z"


@pytest.mark.parametrize(
    "gps",
    [
        {2: (5, [48, 1, 51, 1, 0, 1]), 4: (5, [2, 1, 21, 1, 0, 1])},  # on which side of the equator?
        {1: (2, b"N\0"), 2: (5, [48, 0, 51, 1, 0, 1]), 3: (2, b"E\0"), 4: (5, [2, 1, 21, 1, 0, 1])},
        {1: (2, b"N\0"), 2: (5, [98, 1, 0, 1, 0, 1]), 3: (2, b"E\0"), 4: (5, [2, 1, 21, 1, 0, 1])},
        {1: (2, b"N\0"), 2: (5, [0, 1, 0, 1, 0, 1]), 3: (2, b"E\0"), 4: (5, [0, 1, 0, 1, 0, 1])},
        {1: (2, b"N\0"), 2: (2, b"forty-eight\0"), 3: (2, b"E\0"), 4: (5, [2, 1, 21, 1, 0, 1])},
        {1: (2, b"N\0"), 2: (5, [48, 1])},
    ],
)
def test_places_that_make_no_sense_are_none(gps: dict[int, tuple[int, bytes]]):
    assert read(tiff_block({}, None, gps)).gps is None


def test_names_are_printable_and_short():
    odd = read(tiff_block({MODEL: (2, b"\x1b[31mCam\nera \xff " + b"x" * 900 + b"\0")}))
    assert odd.camera is not None
    assert odd.camera.isprintable()
    assert len(odd.camera) <= 200
    assert read(tiff_block({MAKE: (2, b"Maker\0"), MODEL: (2, b"  \0")})).camera == "Maker"
    assert read(tiff_block({MODEL: (3, [7])})) == Exif()
