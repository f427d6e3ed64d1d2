"""Pictures as a viewer shows them: the right way up, in sRGB, over white, and whole though their end is missing."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbir.model.containers import jpeg, png
from cbir.model.errors import ImageError
from cbir.model.modes import flattened
from cbir.model.picture import decode, decoded, details_of, upright
from cbir.model.preprocessing import Preprocessing
from tests.model.half_light import half_light
from tests.model.made import (
    MAKE,
    ORIENTATION,
    X_RESOLUTION,
    arithmetic_jpeg,
    exif_segment,
    saved,
    segment,
    srgb_profile,
    tiff_block,
    wide_gamut_profile,
    with_segments,
)

CASES = Path(__file__).parents[3] / "shared" / "cases"


def photograph(size: tuple[int, int] = (240, 160), mode: str = "RGB") -> Image.Image:
    """Smooth, and of many colours."""
    small = np.random.default_rng(3).integers(40, 216, (5, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)


def array(content: bytes, **options: int) -> np.ndarray:
    return np.asarray(decode(content, "a picture", **options)).astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_turned_upright_once(orientation: int, form: str):
    """Once: Pillow turns TIFF itself, and AVIF says it in two places."""
    marked = photograph()
    marked.paste("red", (0, 0, 120, 40))
    lies = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = saved(marked if lies is None else marked.transpose(lies), form, exif=exif, quality=95)
    assert apart(array(content), np.asarray(marked)) < 4
    assert details_of(content, "x").payload() == decoded(content, "x").details.payload()
    assert details_of(content, "x").width == 240


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (X_RESOLUTION, (2, b"72\0seventy\0")),
        (X_RESOLUTION, (10, [-1, 0])),
        (X_RESOLUTION, (7, b"\xff\xff")),
        (X_RESOLUTION, (99, b"1")),
        (306, (2, b"")),
        (34665, (4, [0xFFFFFFF0])),
        (34665, (4, [8])),
        (34853, (2, b"here")),
    ],
)
def test_a_tag_of_a_wrong_type_takes_nothing_from_the_orientation(tag: int, value: tuple[int, bytes]):
    block = tiff_block({ORIENTATION: (3, [6]), tag: value})
    for content in (
        with_segments(saved(photograph(), "JPEG"), exif_segment(block)),
        saved(photograph(), "PNG", exif=block),
        saved(photograph(), "WEBP", exif=block),
    ):
        assert decoded(content, "x").picture.size == (160, 240)


def test_garbage_for_exif_takes_nothing_from_an_avif():
    block = tiff_block({ORIENTATION: (3, [6]), MAKE: (2, b"MARK" * 8)})
    content = saved(photograph(), "AVIF", exif=block)
    start = content.rindex(b"II*\0", 0, content.index(b"MARKMARK"))
    plain = array(saved(photograph(), "AVIF"))
    for odd in (b"garbage", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", bytes(9)):
        # The orientation is in a box of its own too, and stays.
        seen = array(content[:start] + odd + content[start + len(odd) :])
        assert np.array_equal(seen, np.rot90(plain, -1))


def test_of_two_blocks_of_exif_the_first_counts():
    blocks = [exif_segment(tiff_block({ORIENTATION: (3, [turn])})) for turn in (6, 3)]
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")
    assert decode(with_segments(saved(photograph(), "JPEG"), xmp, *blocks), "x").size == (160, 240)


@pytest.mark.parametrize("wrong", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(wrong: int):
    block = tiff_block({ORIENTATION: (3, [wrong])})
    assert decode(with_segments(saved(photograph(), "JPEG"), exif_segment(block)), "x").size == (240, 160)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_colours_of_another_profile_become_srgb(form: str):
    plain = photograph()
    from PIL import ImageCms

    wide = ImageCms.ImageCmsProfile(io.BytesIO(wide_gamut_profile()))
    in_wide = ImageCms.profileToProfile(plain, ImageCms.createProfile("sRGB"), wide)
    assert apart(np.asarray(in_wide).astype(int), np.asarray(plain)) > 5
    content = saved(in_wide, form, icc_profile=wide_gamut_profile(), quality=98)
    assert apart(array(content), np.asarray(plain)) < 2
    assert decoded(content, "x").details.warning is None
    opened = Image.open(io.BytesIO(content))
    assert apart(np.asarray(upright(opened)).astype(int), np.asarray(plain)) < 2


def test_what_is_srgb_anyway_is_left_to_the_last_bit():
    content = saved(photograph(), "PNG")
    assert np.array_equal(array(saved(photograph(), "PNG", icc_profile=srgb_profile())), array(content))


@pytest.mark.parametrize("profile", [b"not a profile", bytes(200), wide_gamut_profile()[:300], b"\xff" * 5000])
def test_a_broken_profile_is_ignored_with_a_word(profile: bytes):
    found = decoded(saved(photograph(), "PNG", icc_profile=profile), "x")
    assert np.array_equal(np.asarray(found.picture), np.asarray(photograph()))
    assert found.details.warning == "its colour profile cannot be used"


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_of_another_kind_of_colours_is_ignored(mode: str):
    picture = photograph(mode=mode)
    content = saved(picture, "JPEG", icc_profile=wide_gamut_profile(), quality=95)
    assert np.array_equal(array(content), array(saved(picture, "JPEG", quality=95)))


def test_a_cmyk_jpeg_of_adobe_s_kind_is_not_inverted():
    content = saved(photograph(mode="CMYK"), "JPEG", quality=95)
    assert b"Adobe" in content
    assert apart(array(content), np.asarray(photograph(mode="CMYK").convert("RGB"))) < 4


def test_lab_is_shown_in_its_colours():
    from PIL import ImageCms

    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(photograph(), transform)
    assert lab is not None
    assert apart(array(saved(lab, "TIFF")), np.asarray(photograph())) < 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16", "LA", "RGBA", "PA"])
def test_what_is_transparent_is_white_in_every_mode(mode: str, channels: int):
    """The dark half is transparent, by a channel or by its colour."""
    if mode in ("LA", "RGBA", "PA"):
        clear = half_light("RGBA" if mode == "PA" else mode, (40, 40))
        clear.putalpha(half_light("L", (40, 40)).point(lambda value: 255 if value else 0))
        picture, options = clear.convert(mode), {}
    else:
        picture = half_light(mode, (40, 40))
        options = {"transparency": (0, 0, 0) if mode == "RGB" else picture.getpixel((39, 0)) if mode == "P" else 0}
    opened = picture if mode == "PA" else decode(saved(picture, "PNG", **options), "x")  # no format has PA
    seen = Preprocessing(40, 40, channels).pixels(opened)
    assert seen[:, 25:].min() == 255
    assert (seen[:, :15] >= 200).all()


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "F", "P"])
@pytest.mark.parametrize("enough", [None, 24, 50])
def test_strip_by_strip_is_as_at_once(mode: str, enough: int | None, monkeypatch: pytest.MonkeyPatch):
    picture = photograph((241, 163), "RGBA" if mode == "RGBA" else "L" if mode in ("I;16", "F") else "P")
    if mode == "RGBA":
        picture.putalpha(photograph((241, 163), "L"))
    elif mode in ("I;16", "F"):
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16 if mode == "I;16" else np.float32) * 200)
    monkeypatch.setattr("cbir.model.modes._LARGE", 100)
    at_once = np.asarray(flattened(picture, enough))
    monkeypatch.setattr("cbir.model.modes._STRIP", 241 * 20)
    assert np.array_equal(np.asarray(flattened(picture, enough)), at_once)
    assert at_once.shape[:2] == {None: (163, 241), 24: (28, 41), 50: (55, 81)}[enough]


def test_a_brighter_copy_of_a_cut_out_gets_the_same_ground():
    def cut_out(light: int) -> np.ndarray:
        drawing = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
        drawing.paste((light, light, light, 255), (20, 20, 40, 40))
        return array(saved(drawing, "PNG"))

    assert apart(cut_out(125), cut_out(130)) < 1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_deep_grey_is_scaled_by_the_bits_that_its_values_imply(bits: int, form: str):
    plain = np.asarray(photograph(mode="L")).astype(np.float64)
    plain = (plain - plain.min()) / np.ptp(plain)
    deep = Image.fromarray(np.rint(plain * (2**bits - 1)).astype(np.uint16))
    assert apart(array(saved(deep, form)), plain * 255) < 0.6


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 1.02), (-0.03, 1.0), (0, 255), (0, 65535), (-3, 3)])
def test_floats_are_scaled_by_their_range_whatever_little_is_beyond_it(low: float, high: float):
    plain = np.asarray(photograph(mode="L")).astype(np.float32)
    plain = (plain - plain.min()) / np.ptp(plain)
    values = low + plain * (high - low)
    odd = values.copy()
    odd[0, 0] = values.max() * 50  # a single reflection of the sun
    seen = array(saved(Image.fromarray(values.astype(np.float32)), "TIFF"))
    assert apart(seen, plain * 255) < 4
    assert apart(array(saved(Image.fromarray(odd.astype(np.float32)), "TIFF")), seen) < 4


def test_an_arithmetic_jpeg_is_read():
    assert decode(arithmetic_jpeg((40, 24)), "x").size == (40, 24)


def test_a_jpeg_without_its_end_mark_is_whole_and_marked():
    content = saved(photograph(), "JPEG")
    found = decoded(content[:-2], "x")
    assert np.array_equal(np.asarray(found.picture), array(content))
    assert found.details.payload()["warning"] == "the end is missing"
    assert details_of(content[:-2], "x").warning == "the end is missing"
    assert "warning" not in decoded(content, "x").details.payload()


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_that_is_cut_by_a_tenth_is_read(mode: str, options: dict[str, bool]):
    content = saved(photograph((400, 300), mode), "JPEG", quality=90, **options)
    found = decoded(content[: len(content) * 9 // 10], "x")
    assert found.details.warning is not None
    assert found.details.warning.startswith("the end is missing")
    assert apart(np.asarray(found.picture)[:240].astype(int), array(content)[:240]) < 6


def test_a_jpeg_of_which_most_is_missing_is_refused():
    content = saved(photograph((400, 300)), "JPEG", quality=90)
    with pytest.raises(ImageError, match=r"x cannot be read: it is truncated: \d\d% of it is missing"):
        decode(content[: len(content) // 3], "x")


@pytest.mark.parametrize("options", [{}, {"interlace": 1}])
def test_a_png_that_is_cut_is_read_as_far_as_it_goes(options: dict[str, int]):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 100, 3), np.uint8))
    content = saved(noise, "PNG", **options)
    found = decoded(content[: len(content) * 8 // 10], "x")
    assert found.details.warning is not None
    assert "the end is missing, 2" in found.details.warning
    if not options:
        assert np.array_equal(np.asarray(found.picture)[:155], np.asarray(noise)[:155])
    with pytest.raises(ImageError, match="of its pixels are missing"):
        decode(content[: len(content) // 3], "x")


def test_a_png_without_its_last_chunk_is_whole():
    content = saved(photograph(), "PNG")
    for missing in (1, 4, 12):
        found = decoded(content[:-missing], "x")
        assert np.array_equal(np.asarray(found.picture), np.asarray(photograph()))
    assert found.details.warning == "the end is missing"


@pytest.mark.parametrize("form", ["BMP", "PPM", "TGA", "TIFF"])
def test_a_file_of_plain_pixels_may_end_early(form: str):
    content = saved(photograph(), form)
    found = decoded(content[: len(content) * 9 // 10], "x.tga")
    assert found.details.warning == "the end is missing"
    assert found.picture.size == (240, 160)


@pytest.mark.parametrize(
    ("form", "options"),
    [("GIF", {}), ("GIF", {"interlace": 0}), ("WEBP", {}), ("WEBP", {"lossless": True})],
)
def test_a_picture_for_the_web_is_read_as_far_as_it_goes(form: str, options: dict[str, bool]):
    content = saved(photograph((300, 200)), form, **options)
    found = decoded(content[: len(content) * 9 // 10], "x")
    assert found.details.warning is not None
    assert found.details.warning.startswith("the end is missing")
    assert apart(np.asarray(found.picture)[:120].astype(int), array(content)[:120]) < 2
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        decode(content[: len(content) // 4], "x")


def test_garbage_in_chunks_of_text_takes_nothing_from_a_png():
    plain = saved(photograph(), "PNG")
    bomb = png.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(20_000_000)))
    garbage = [
        png.chunk(kind, data)
        for kind, data in (
            (b"eXIf", b"garbage"),
            (b"zTXt", b"Raw profile type exif\0\0garbage"),
            (b"tEXt", b"Raw profile type exif\0\nexif\n 6\n4d4d002a"),
            (b"iCCP", b"name\0\0garbage"),
            (b"iTXt", b"\xff\xfe"),
            (b"pHYs", b""),
            (b"tIME", b"\xff"),
            (b"gAMA", b""),
        )
    ]
    content = plain[:33] + b"".join(garbage) + bomb + plain[33:]
    assert np.array_equal(array(content), np.asarray(photograph()))


def test_imagemagick_s_exif_in_a_png_is_read():
    block = b"Exif\0\0" + tiff_block({ORIENTATION: (3, [6])})
    digits = block.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    text = f"\nexif\n{len(block):8}\n{lines}\n".encode()
    plain = saved(photograph(), "PNG")
    for chunk in (
        png.chunk(b"tEXt", b"Raw profile type exif\0" + text),
        png.chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
    ):
        assert decode(plain[:33] + chunk + plain[33:], "x").size == (160, 240)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "MPO", "TIFF"])
def test_of_several_pictures_in_a_file_the_first_is_seen(form: str):
    content = saved(photograph(), form, save_all=True, append_images=[Image.new("RGB", (240, 160), "red")] * 3)
    assert apart(array(content), np.asarray(photograph())) < 12
    assert decoded(content, "x").details.format == {"MPO": "JPEG"}.get(form, form)


def test_a_clear_first_frame_of_an_animation_lies_on_white():
    first = photograph((40, 40), "RGBA")
    first.putalpha(half_light("L", (40, 40)).point(lambda value: 255 if value else 0))
    content = saved(first, "WEBP", save_all=True, append_images=[Image.new("RGBA", (40, 40), "red")], lossless=True)
    seen = array(content)
    assert seen[:, 20:].min() == 255
    assert np.array_equal(seen[:, :20], np.asarray(first)[:, :20, :3])


def test_a_jpeg_of_thousands_of_scans_is_read_as_far_as_it_makes_sense():
    content = saved(photograph(), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    found = decoded(content[:-2] + scan * 500 + b"\xff\xd9", "x")
    assert found.details.warning == f"only its first {jpeg.MOST_SCANS} scans are read"


def test_a_little_junk_between_segments_is_skipped_and_much_is_not_searched():
    content = saved(photograph(), "JPEG")
    for junk in (b"\0" * 100, b"\xff" * 100, b"\xff\0" * 20):
        assert np.array_equal(array(content[:20] + junk + content[20:]), array(content))
    for junk in (bytes(10_000_000), b"\xff" * 10_000_000, b"\xff\0" * 5_000_000, b"\xff\xfe\0\2" * 2_000_000):
        with pytest.raises(
            ImageError, match=r"x cannot be read: (it is truncated in|no picture follows|there is no pict)"
        ):
            decode(content[:20] + junk + content[20:], "x")
        with pytest.raises(ImageError, match="x cannot be read"):
            decode(content[:20] + junk, "x")


def test_as_much_of_a_photograph_is_decoded_as_is_needed():
    content = saved(photograph((3200, 2400)), "JPEG", exif=b"Exif\0\0" + tiff_block({ORIENTATION: (3, [6])}))
    assert decode(content, "x").size == (2400, 3200)
    found = decoded(content, "x", enough=600)
    assert found.picture.size == (600, 800)
    assert (found.details.width, found.details.height) == (2400, 3200)
    for enough, shorter in ((601, 1200), (1300, 2400), (5000, 2400), (1, 300)):
        assert min(decode(content, "x", enough=enough).size) == shorter
    seen = Preprocessing(64, 64, 3)
    assert apart(seen.pixels(decode(content, "x")).astype(int), seen.pixels(found.picture).astype(int)) < 1


def test_what_an_input_asks_for_is_enough_for_it():
    assert Preprocessing(28, 28, 1).enough == Preprocessing(224, 224, 3).enough
    assert Preprocessing(500, 300, 3).enough == 1500
    assert Preprocessing(224, 224, 3, fit="crop", shortest=512).enough == 1536


@pytest.mark.parametrize("form", ["JPEG2000", "PNG"])
def test_other_large_pictures_are_reduced_where_that_saves_work(form: str):
    clear = photograph((1600, 1200), "RGBA")
    clear.putalpha(200)
    found = decoded(saved(clear, form), "x", enough=300)
    assert found.picture.size == (400, 300)
    assert (found.details.width, found.details.height) == (1600, 1200)


def test_a_panorama_beyond_the_limit_is_decoded_at_a_fraction(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cbir.model.decoder.MAX_PIXELS", 100_000)
    content = saved(photograph((1600, 200)), "JPEG")
    assert decode(content, "x").size == (800, 100)
    monkeypatch.setattr("cbir.model.decoder.MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match="million pixels"):
        decode(content, "x")
    with pytest.raises(ImageError, match="million pixels"):
        decode(saved(photograph((1600, 200)), "PNG"), "x")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_large_webp_is_decoded_in_little_memory_to_the_same_pixels(mode: str, monkeypatch: pytest.MonkeyPatch):
    for options in ({"lossless": True}, {"quality": 80}):
        picture = photograph(mode=mode)
        if mode == "RGBA":
            picture.putalpha(photograph(mode="L"))
        content = saved(picture, "WEBP", **options)
        usual = array(content)
        monkeypatch.setattr("cbir.model.decoder._LARGE_WEBP", 100)
        assert apart(array(content), usual) < 0.5
        monkeypatch.undo()


def test_sizes_that_a_webp_announces_are_bounded_before_memory_is_taken():
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16382).to_bytes(3, "little") * 2
    content = (
        b"RIFF" + struct.pack("<I", 4 + len(canvas) + 16) + b"WEBP" + canvas + b"VP8L" + struct.pack("<I", 8) + bytes(8)
    )
    with pytest.raises(ImageError, match="268 million pixels"):
        decode(content, "x")


@pytest.mark.skipif(not CASES.exists(), reason="only where the cases from the field are")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.*")) if CASES.exists() else [], ids=lambda path: path.name)
def test_cases_from_the_field(path: Path):
    content = path.read_bytes()
    if path.suffix == ".md":
        return
    if path.name == "eps_named.jpg":
        with pytest.raises(ImageError, match="is not a picture"):
            decode(content, path.name)
        return
    found = decoded(content, path.name)
    if path.name.startswith("exif_"):
        assert found.picture.size == (32, 24)
    if path.name == "no_EOI_last_2_bytes_cut.jpg":
        assert found.details.warning == "the end is missing"
    if path.name == "china-prophoto.jpg":
        plain = array((CASES / "no_EOI_last_2_bytes_cut.jpg").read_bytes())
        assert np.abs((np.asarray(found.picture) - plain).mean(axis=(0, 1))).max() < 1
    if path.name in ("china_12bit.png", "float_overshoot.tif"):
        assert 130 < np.asarray(found.picture).mean() < 160
