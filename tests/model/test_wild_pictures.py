"""Any bytes are a picture, or a reason with the file's name; decoders are never heard. More of it: `make fuzz`."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from cbir.model.errors import ImageError
from cbir.model.exif import read
from cbir.model.formats import FORMATS, sniff
from cbir.model.picture import Decoded, decoded, details_of
from tests.fuzz.damage import damaged
from tests.model.half_light import half_light
from tests.model.made import every_kind, exif_segment, saved, tiff_block, with_segments

FILES = every_kind()
PORTIONS = 12
CASES = 250


def read_or_refused(content: bytes, name: str, enough: int | None = None) -> Decoded | None:
    """Decode a file, which either works or is refused by its name."""
    try:
        found = decoded(content, name, enough=enough)
    except ImageError as error:
        message = str(error)
        if message.startswith(name) and "\n" not in message:
            return None
        raise
    assert found.picture.mode in ("L", "RGB")
    assert np.asarray(found.picture).size
    details = details_of(content, name)
    assert (details.width, details.height) == (found.details.width, found.details.height)
    return found


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_damaged_files_are_read_or_refused_by_name_in_silence(portion: int, capfd: pytest.CaptureFixture[str]):
    for seed in range(portion * CASES, (portion + 1) * CASES):
        name, content = damaged(seed, FILES)
        read_or_refused(content, name, (None, 8)[seed % 2])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", FILES)
def test_a_file_may_end_anywhere(name: str):
    whole = FILES[name]
    for end in random.Random(name).sample(range(len(whole)), min(len(whole), 25)):
        read_or_refused(whole[:end], name)


def heads() -> Iterator[bytes]:
    for content in FILES.values():
        yield content[:12]
        yield content[:40]


@settings(max_examples=500)
@given(
    head=st.sampled_from(sorted(set(heads()) | {b""})),
    rest=st.binary(max_size=300),
    suffix=st.sampled_from([suffix for known in FORMATS for suffix in known.suffixes] + [""]),
)
@example(b"\xff\xd8\xff", b"", "")
def test_any_bytes_are_a_picture_or_a_reason(head: bytes, rest: bytes, suffix: str):
    content, name = head + rest, f"file{suffix}"
    found = read_or_refused(content, name)
    assert found is None or sniff(content, name) == found.details.format


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10"]))
def test_no_bytes_are_too_odd_to_be_read_as_exif(block: bytes, head: bytes):
    found = read(head + block, also=(block, head + block))
    assert found.orientation in range(1, 9)
    assert found.gps is None or (abs(found.gps["lat"]) <= 90 and abs(found.gps["lon"]) <= 180)


def test_exif_of_any_kind_leaves_pixels_alone():
    """They may be turned, as the damaged block says; no more."""
    plain = saved(half_light("RGB", (24, 16)), "PNG")
    upright = decoded(plain, "plain.png").picture
    turned = {np.asarray(upright).tobytes()} | {
        np.asarray(upright.transpose(turn)).tobytes() for turn in Image.Transpose
    }
    block = tiff_block(
        {274: (3, [1]), 271: (2, b"Maker\0"), 282: (5, [72, 1]), 283: (5, [72, 1]), 296: (3, [2]), 306: (2, b"2024\0")},
        {36867: (2, b"2024:06:01 12:30:45\0"), 42036: (2, b"A lens\0"), 37500: (7, bytes(40)), 41988: (10, [-1, 0])},
        {1: (2, b"N\0"), 2: (5, [48, 1, 51, 1, 0, 0])},
    )
    jpeg = saved(half_light("RGB", (24, 16)), "JPEG", quality=100)
    of_jpeg = np.asarray(decoded(jpeg, "plain.jpg").picture).astype(int).sum()
    for seed in range(400):
        chance = random.Random(seed)
        odd = bytearray(block)
        for _ in range(chance.choice((1, 2, 5))):
            odd[chance.randrange(len(odd))] = chance.choice((0, 1, 2, 5, 7, 10, 255, chance.randrange(256)))
        seen = decoded(with_segments(jpeg, exif_segment(bytes(odd))), "odd.jpg").picture
        assert np.asarray(seen).astype(int).sum() == of_jpeg
        if seed % 4 == 0:
            content = saved(half_light("RGB", (24, 16)), "PNG", exif=bytes(odd))
            seen = decoded(content, "odd.png").picture
            assert np.asarray(seen).tobytes() in turned
