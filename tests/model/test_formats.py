import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.model.errors import ImageError
from cbir.model.formats import FORMATS, SNIFFED_BYTES, SUFFIXES, sniff
from cbir.model.picture import open_image
from tests.model.half_light import half_light

#: What makes Pillow run Ghostscript, whatever the file is called.
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", [known.name for known in FORMATS if not known.extra])
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


def test_the_first_bytes_tell_a_format_whatever_the_file_is_called():
    for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "MPO"):
        content = io.BytesIO()
        half_light("L", (40, 40)).save(content, name)
        assert sniff(content.getvalue()[:SNIFFED_BYTES], "page.html") == {"MPO": "JPEG"}.get(name, name)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
def test_tga_says_nothing_of_itself_so_its_ending_counts(mode: str):
    content = io.BytesIO()
    half_light("RGB", (40, 40)).convert(mode).save(content, "TGA")
    assert sniff(content.getvalue(), "Scan.TGA ") == "TGA"
    assert sniff(content.getvalue(), "scan.bin") is None


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        (b"II*\0\x10\0\0\0CR\x02\0", "IMG_1.JPG", "RAW"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "IMG_1.CR3", "RAW"),
        (b"FUJIFILMCCD-RAW 0201FF", "a.RAF", "RAW"),
        (b"MM\0*\0\0\0\x08", "DSC_1.NEF", "RAW"),
        (b"MM\0*\0\0\0\x08", "DSC_1.tif", "TIFF"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "IMG_2.jpg", "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", "IMG_2.heic", "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "a.avif", "AVIF"),
        (b"\0\0\0\x1cftypisom\0\0\2\0isomiso2", "a.mp4", None),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "drawing.jpg", None),
        (b"BMW is a car", "cars.txt", None),
        (b"P5 is a size of paper", "paper.txt", None),
        (b"", "nothing.jpg", None),
        (bytes(64), "zeros.tga", None),
    ],
)
def test_what_a_file_is_its_first_bytes_say(head: bytes, name: str, found: str | None):
    assert sniff(head, name) == found


def test_endings_of_all_formats_are_known():
    assert {".jpg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".tif", ".heic", ".avif", ".dng"} <= SUFFIXES


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


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    content = io.BytesIO()
    pillow_heif.from_pillow(half_light("RGB", (64, 48))).save(content, format="HEIF")
    return content.getvalue()


def test_heic_is_read_whatever_it_is_called(tmp_path: Path):
    for name in ("IMG_1.HEIC", "IMG_1.jpg"):
        (tmp_path / name).write_bytes(heic())
        seen = np.asarray(open_image(tmp_path / name).convert("L"), np.float32)
        assert seen.shape == (48, 64)
        assert seen[:, 4:28].mean() > 200


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("IMG_1.jpg", b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", r"IMG_1\.jpg is HEIC; .*pip install '\.\[heic\]'"),
        ("IMG_2.NEF", b"MM\0*\0\0\0\x08" + bytes(40), r"IMG_2\.NEF is camera raw; .*pip install '\.\[raw\]'"),
    ],
)
def test_what_an_extra_reads_is_named_with_the_command(
    tmp_path: Path, name: str, head: bytes, words: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("cbir.model.formats._installed", lambda _: False)
    (tmp_path / name).write_bytes(head)
    with pytest.raises(ImageError, match=words):
        open_image(tmp_path / name)
