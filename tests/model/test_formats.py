import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.model.errors import ImageError
from cbir.model.formats import FORMATS, OTHER_SUFFIXES, SUFFIXES
from cbir.model.picture import open_image
from tests.model.half_light import half_light

#: What makes Pillow run Ghostscript, whatever the file is called.
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", [known.name for known in FORMATS if known.name != "HEIF"])
def test_every_format_can_be_a_query(name: str, tmp_path: Path):
    suffixes = next(known.suffixes for known in FORMATS if known.name == name)
    for suffix in suffixes:
        path = tmp_path / f"picture{suffix}"
        half_light("L", (40, 40)).save(path, format=name)
        seen = np.asarray(open_image(path).convert("L"), np.float32)
        assert seen[:, 4:16].mean() > 200
        assert seen[:, -16:-4].mean() < 30


def test_a_photo_of_several_pictures_is_its_first(tmp_path: Path):
    half_light("RGB", (40, 40)).save(
        tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (20, 20))]
    )
    assert open_image(tmp_path / "phone.jpg").size == (40, 40)


def test_folders_take_png_and_jpeg_in_and_count_the_others():
    assert {".png", ".jpg", ".jpeg"} == SUFFIXES
    assert {".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"} <= OTHER_SUFFIXES


def test_other_formats_are_never_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def reached(*_: object) -> None:
        raise AssertionError("Ghostscript would have been started")

    Image.init()
    monkeypatch.setitem(Image.OPEN, "EPS", (reached, lambda _: True))
    (tmp_path / "drawing.jpg").write_bytes(POSTSCRIPT)
    with pytest.raises(
        ImageError, match=r"drawing\.jpg is not a picture in a format that can be read \(JPEG, PNG, .*PPM"
    ):
        open_image(tmp_path / "drawing.jpg")
    with pytest.raises(AssertionError, match="Ghostscript"):
        Image.open(tmp_path / "drawing.jpg")


def test_common_formats_are_opened_without_the_others_plugins(tmp_path: Path):
    half_light("L", (8, 8)).save(tmp_path / "picture.png")
    code = "import sys; from cbir.model.picture import open_image; open_image(sys.argv[1]); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "picture.png"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "PIL.PngImagePlugin" in loaded
    assert "PIL.EpsImagePlugin" not in loaded
