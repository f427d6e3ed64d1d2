import io
import os
import socket
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.model.errors import ImageError
from cbir.model.picture import MAX_BYTES, decode, decoded, details_of, open_image, read_file, upright
from cbir.model.quiet import quiet
from tests.model.half_light import half_light


def test_exif_orientation_is_applied(tmp_path: Path):
    upright = half_light("L", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    seen = np.asarray(open_image(tmp_path / "turned.jpg"))
    assert np.abs(seen.astype(int) - np.asarray(upright)).mean() < 5


def test_pillow_images_are_decoded_and_turned_like_files(tmp_path: Path):
    (tmp_path / "truncated.jpg").write_bytes(jpeg()[:900])
    with Image.open(tmp_path / "truncated.jpg") as lazy, pytest.raises(ImageError, match="truncated"):
        upright(lazy)


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in some hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    content = io.BytesIO()
    half_light("RGB", (200, 200)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.png", b"not a picture at all", "not a picture"),
        ("empty.png", b"", "empty"),
        ("truncated.jpg", jpeg()[:900], "truncated"),
        ("bomb.png", bomb(), "million pixels"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=reason) as raised:
        open_image(tmp_path / name)
    assert name in str(raised.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="does not exist"):
        open_image(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="folder"):
        open_image(tmp_path)
    with pytest.raises(ImageError, match="File name too long"):
        open_image("x" * 5000)


def test_a_file_that_is_larger_than_any_picture_is_not_read_into_memory(tmp_path: Path):
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(20_000_000_000)
    with pytest.raises(ImageError, match=r"sparse\.png has 20\.0 GB"):
        open_image(tmp_path / "sparse.png")


def test_decoding_in_threads_leaves_the_warning_filters_as_they_were(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    with quiet():  # one filter stays
        before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_image, [tmp_path / "p.png"] * 400))
    assert list(warnings.filters) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_what_is_no_file_is_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match=r"pipe\.jpg is not a file"):
        open_image(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.jpg"))
        with pytest.raises(ImageError, match=r"s\.jpg is not a file"):
            open_image(tmp_path / "s.jpg")


def test_a_film_named_like_a_picture_is_not_read_into_memory(tmp_path: Path):
    with (tmp_path / "film.jpg").open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42")
        file.truncate(MAX_BYTES)
    with pytest.raises(ImageError, match=r"film\.jpg is not a picture"):
        read_file(tmp_path / "film.jpg")


class PanicException(BaseException):
    """As a decoder in Rust raises it."""


@pytest.mark.parametrize(
    "error", [TypeError("odd"), NotImplementedError(), OverflowError("too much"), PanicException("x y")]
)
def test_whatever_a_decoder_raises_names_the_file(error: BaseException, monkeypatch: pytest.MonkeyPatch):
    def raises(*_: object) -> None:
        raise error

    monkeypatch.setattr("cbir.model.decoder.opened", raises)
    for function in (decode, decoded, details_of):
        with pytest.raises(ImageError, match=r"^a\.jpg is damaged, or of a kind that cannot be read \("):
            function(jpeg(), "a.jpg")


def test_an_interrupt_is_no_damage(monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cbir.model.decoder.opened", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode(jpeg(), "a.jpg")


def test_libtiff_and_pillow_print_nothing(tmp_path: Path):
    """In a fresh process without any setting of logs or warnings; libtiff does print of this file if it may."""
    whole = io.BytesIO()
    half_light("RGB", (64, 64)).save(whole, "TIFF", compression="tiff_lzw")
    broken = bytearray(whole.getvalue())
    strips = Image.open(whole).tag_v2[273][0]
    broken[strips + 20 : strips + 40] = b"\xff" * 20
    (tmp_path / "a.tif").write_bytes(broken)
    code = (
        "import sys; from cbir.model.picture import open_image; from cbir.model.errors import ImageError\n"
        "try:\n    open_image(sys.argv[1])\nexcept ImageError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.tif"], capture_output=True, text=True, check=True)
    assert "a.tif is damaged" in done.stdout
    assert done.stderr == ""
    raw = "import sys; from PIL import Image; Image.open(sys.argv[1]).load()"
    heard = subprocess.run([sys.executable, "-c", raw, tmp_path / "a.tif"], capture_output=True, text=True)
    assert "tempfile.tif" in heard.stderr


def test_what_pillow_warns_of_is_ignored_and_what_others_warn_of_is_not():
    with quiet(), quiet():
        warnings.warn_explicit("odd", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")
        with pytest.warns(UserWarning, match="mine"):
            warnings.warn_explicit("mine", UserWarning, "mine.py", 1, module="mine")
    with pytest.raises(UserWarning, match="odd"):
        warnings.warn_explicit("odd", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")


#: Decodes a large picture in each of four threads, which stay, and says how many MB more the process has then.
IN_THREADS = """
import io, os, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
from cbir.model.picture import decode

file, together = io.BytesIO(), threading.Barrier(4)
Image.new("RGB", (6000, 6000), 99).save(file, "PNG", compress_level=1)

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def decoded(_):
    together.wait()
    return decode(file.getvalue(), "x").size

with ThreadPoolExecutor(4) as threads:
    before = resident()
    assert list(threads.map(decoded, range(4))) == [(6000, 6000)] * 4
    print((resident() - before) >> 20)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not say how much a process has")
def test_what_large_pictures_took_is_given_back_whatever_thread_had_it():
    done = subprocess.run([sys.executable, "-c", IN_THREADS], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 200  # one is 144
