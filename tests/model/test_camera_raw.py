"""Camera raw: the camera's preview, or else the sensor's values; what LibRaw prints stays unseen."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.model.camera_raw import raw_exif
from cbir.model.errors import ImageError
from cbir.model.formats import missing_extra
from cbir.model.picture import decoded, details_of, open_image
from cbir.model.quiet import without_lines
from tests.model.half_light import half_light
from tests.model.made import MODEL, camera_raw, saved, tiff_block

pytestmark = pytest.mark.skipif(bool(missing_extra("RAW")), reason="the extra 'raw' is not installed")

PREVIEW = saved(half_light("RGB", (600, 400)), "JPEG")
SMALL = saved(half_light("RGB", (160, 120)), "JPEG")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("preview", [PREVIEW, SMALL, b""], ids=["preview", "thumbnail", "none"])
def test_a_preview_or_half_the_sensor_is_seen_upright(preview: bytes, orientation: int):
    content = camera_raw(preview, orientation, (1200, 800))
    found = decoded(content, "IMG_1.dng")
    lying = orientation in (1, 3)
    assert found.picture.size == ((600, 400) if lying else (400, 600))
    assert found.details.payload() == {
        "width": 1200 if lying else 800,
        "height": 800 if lying else 1200,
        "format": "RAW",
        "camera": "Maker One",
    }
    assert details_of(content, "IMG_1.dng") == found.details
    seen = np.asarray(found.picture.convert("L")).astype(int)
    light, dark = {1: (seen[:, 20], seen[:, -20]), 6: (seen[20], seen[-20])}.get(orientation, (seen, seen))
    if orientation == 3:
        light, dark = seen[:, -20], seen[:, 20]
    if orientation == 8:
        light, dark = seen[-20], seen[20]
    assert light.mean() > 200
    assert dark.mean() < 60


def test_a_preview_is_decoded_no_larger_than_needed():
    content = camera_raw(saved(half_light("RGB", (1200, 800)), "JPEG"), 1, (1200, 800))
    assert decoded(content, "a.dng", enough=200).picture.size == (300, 200)


def test_a_preview_that_the_camera_has_turned_is_not_turned_again():
    upright = half_light("RGB", (600, 400)).transpose(Image.Transpose.ROTATE_90)
    found = decoded(camera_raw(saved(upright, "JPEG"), 6, (1200, 800)), "a.dng")
    assert found.picture.size == (400, 600)
    assert np.abs(np.asarray(found.picture).astype(int) - np.asarray(upright)).mean() < 3


def test_a_damaged_file_is_refused_by_name_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    whole = camera_raw(b"", 1, (1200, 800))
    (tmp_path / "a.NEF").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ImageError, match=r"a\.NEF is damaged"):
        open_image(tmp_path / "a.NEF")
    assert capfd.readouterr() == ("", "")


def test_only_those_lines_are_kept_away(capfd: pytest.CaptureFixture[str]):
    with without_lines(rb"data corrupted"):
        os.write(2, b"unknown file: data corrupted at 7\nsomebody else's line\n")
    assert capfd.readouterr().err == "somebody else's line\n"


def test_a_cr3_file_says_it_in_blocks():
    blocks = b"CMT1" + tiff_block({MODEL: (2, b"Canon EOS R5\0"), 274: (3, [8])})
    blocks += b"CMT2" + tiff_block({36867: (2, b"2024:06:01 12:30:45\0")})
    blocks += b"CMT4" + tiff_block({1: (2, b"N\0"), 2: (5, [48, 1]), 3: (2, b"E\0"), 4: (5, [2, 1])})
    said = raw_exif(b"\0\0\0\x18ftypcrx " + bytes(100) + blocks)
    assert (said.camera, said.taken_at, said.orientation) == ("Canon EOS R5", "2024-06-01T12:30:45Z", 8)
    assert said.gps == {"lon": 2.0, "lat": 48.0}
