"""Files such as cameras, editors and accidents make, written here: real ones cannot be shipped."""

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageCms

from tests.model.half_light import half_light

#: An EXIF tag's type and value: ASCII 2, SHORT 3, LONG 4, RATIONAL 5, UNDEFINED 7; others as they are.
Tag = tuple[int, bytes | Sequence[int]]

ORIENTATION, MAKE, MODEL, X_RESOLUTION, EXIF_IFD, GPS_IFD = 274, 271, 272, 282, 34665, 34853


def tiff_block(
    tags: Mapping[int, Tag],
    exif: Mapping[int, Tag] | None = None,
    gps: Mapping[int, Tag] | None = None,
    order: str = "<",
) -> bytes:
    """Write tags as EXIF holds them, correct or not, with the directories that they point to."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    tags = dict(tags)
    parts: list[bytes] = []
    place = 8

    def directory(entries: Mapping[int, Tag]) -> bytes:
        nonlocal place
        fields, values = b"", b""
        after = place + 2 + 12 * len(entries) + 4
        for tag, (kind, value) in sorted(entries.items()):
            if isinstance(value, bytes):
                count, data = len(value), value
            else:
                letter = {3: "H", 4: "I", 5: "I", 9: "i", 10: "i"}.get(kind, "B")
                count, data = (
                    len(value) // (2 if kind in (5, 10) else 1),
                    struct.pack(f"{order}{len(value)}{letter}", *value),
                )
            field = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", after + len(values))
            fields += struct.pack(order + "HHI", tag, kind, count) + field
            values += data if len(data) > 4 else b""
        block = struct.pack(order + "H", len(entries)) + fields + bytes(4) + values
        place += len(block)
        return block

    for tag, entries in ((EXIF_IFD, exif), (GPS_IFD, gps)):
        if entries is not None:
            tags[tag] = (4, [place])
            parts.append(directory(entries))
    first = place
    parts.append(directory(tags))
    return head + struct.pack(order + "I", first) + b"".join(parts)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """Return a picture as the content of a file."""
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def segment(marker: int, data: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Put segments behind a JPEG's start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif_segment(block: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + block)


def arithmetic_jpeg(size: tuple[int, int] = (16, 16)) -> bytes:
    """A JPEG whose coefficients are coded arithmetically: any data is some picture."""
    tables = segment(0xDB, b"\0" + bytes([16] * 64))
    frame = segment(0xC9, struct.pack(">BHHB", 8, size[1], size[0], 1) + b"\1\x11\0")
    scan = segment(0xDA, b"\1\1\0\0\x3f\0")
    return b"\xff\xd8" + tables + frame + scan + bytes(64) + b"\xff\xd9"


def wide_gamut_profile(gamma: int = 0x0199) -> bytes:
    """An ICC profile of version 2 with the primaries of Adobe RGB, and a gamma of 2.2 (in 256ths)."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in (x, y, z))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, gamma) + b"\0\0"
    tags = {
        b"wtpt": xyz(0.9505, 1.0, 1.0891),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(79),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    }
    table, data, place = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", place + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + body


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera_raw(preview: bytes = b"", orientation: int = 1, size: tuple[int, int] = (96, 64)) -> bytes:
    """A DNG: a sensor's values, light on the left half; and the camera's preview, if one is given."""
    width, height = size
    sensor = np.full((height, width), 200, "<u2")
    sensor[:, : width // 2] = 3500
    strip = sensor.tobytes()
    identity = [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]
    common: dict[int, Tag] = {
        MAKE: (2, b"Maker\0"),
        MODEL: (2, b"Maker One\0"),
        ORIENTATION: (3, [orientation]),
        50706: (1, [1, 4, 0, 0]),
        50708: (2, b"Maker One\0"),
        50721: (10, identity),
        50778: (3, [21]),
        50728: (5, [1, 1, 1, 1, 1, 1]),
    }
    raw: dict[int, Tag] = {
        254: (4, [0]),
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [16]),
        259: (3, [1]),
        262: (3, [32803]),
        277: (3, [1]),
        278: (4, [height]),
        279: (4, [len(strip)]),
        284: (3, [1]),
        33421: (3, [2, 2]),
        33422: (1, [0, 1, 1, 2]),
        50714: (3, [64]),
        50717: (4, [4095]),
    }
    if not preview:
        block = tiff_block({**common, **raw, 273: (4, [8])})
        place = len(block)
        return tiff_block({**common, **raw, 273: (4, [place])}) + strip
    shown = Image.open(io.BytesIO(preview))
    first: dict[int, Tag] = {
        **common,
        254: (4, [1]),
        256: (4, [shown.width]),
        257: (4, [shown.height]),
        258: (3, [8, 8, 8]),
        259: (3, [7]),
        262: (3, [6]),
        277: (3, [3]),
        278: (4, [shown.height]),
        279: (4, [len(preview)]),
    }

    def written(strips: int, sub: int) -> tuple[bytes, bytes]:
        """Return both directories: the preview's, and the raw picture's, for the place behind it."""
        main = tiff_block({**first, 273: (4, [strips + len(strip)]), 330: (4, [sub])})
        return main, _moved(tiff_block({**raw, 273: (4, [strips])}), len(main))

    main, own = written(0, 0)
    main, own = written(len(main) + len(own), len(main) + 8)
    return main + own + strip + preview


def _moved(block: bytes, by: int) -> bytes:
    """Move the places that a block's only directory points to."""
    moved = bytearray(block)
    count = struct.unpack_from("<H", block, 8)[0]
    for number in range(count):
        entry = 10 + 12 * number
        _, kind, values = struct.unpack_from("<HHI", block, entry)
        if {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}[kind] * values > 4:
            struct.pack_into("<I", moved, entry + 8, struct.unpack_from("<I", block, entry + 8)[0] + by)
    return bytes(moved)


def every_kind(size: tuple[int, int] = (24, 16)) -> dict[str, bytes]:
    """Return small pictures of every format, and of many kinds of each, by names with the right endings."""
    found: dict[str, bytes] = {}
    options: dict[str, tuple[str, tuple[str, ...], tuple[dict[str, object], ...]]] = {
        "jpg": ("JPEG", ("L", "RGB", "CMYK"), ({}, {"progressive": True}, {"subsampling": 0, "quality": 30})),
        "png": ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), ({}, {"interlace": 1})),
        "webp": ("WEBP", ("RGB", "RGBA"), ({}, {"lossless": True})),
        "gif": ("GIF", ("1", "L", "P", "RGBA"), ({},)),
        "bmp": ("BMP", ("1", "L", "P", "RGB"), ({},)),
        "tif": (
            "TIFF",
            ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "LAB"),
            ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}),
        ),
        "avif": ("AVIF", ("RGB", "RGBA"), ({},)),
        "jp2": ("JPEG2000", ("L", "LA", "RGB", "RGBA"), ({},)),
        "ppm": ("PPM", ("1", "L", "RGB", "I;16", "F"), ({},)),
        "ico": ("ICO", ("RGBA",), ({}, {"bitmap_format": "bmp"})),
        "tga": ("TGA", ("1", "L", "LA", "P", "RGB", "RGBA"), ({}, {"compression": "tga_rle"})),
    }
    for suffix, (form, modes, several) in options.items():
        for mode in modes:
            image = Image.new("LAB", size) if mode == "LAB" else half_light(mode, size)
            for number, given in enumerate(several):
                try:
                    found[f"{mode.replace(';', '')}-{number}.{suffix}"] = saved(image, form, **given)
                except (OSError, ValueError):
                    continue  # no such mode in this format
    two = [half_light("RGB", size), Image.new("RGB", size, "red")]
    for suffix, form in (("gif", "GIF"), ("apng.png", "PNG"), ("webp", "WEBP"), ("mpo", "MPO")):
        found[f"moving.{suffix}"] = saved(two[0], form, save_all=True, append_images=two[1:])
    said = tiff_block(
        {ORIENTATION: (3, [6]), MODEL: (2, b"Pixel 8\0"), X_RESOLUTION: (5, [72, 1])},
        {36867: (2, b"2024:06:01 12:30:45\0"), 42036: (2, b"A lens\0")},
        {1: (2, b"N\0"), 2: (5, [48, 1, 51, 1, 0, 1]), 3: (2, b"E\0"), 4: (5, [2, 1, 21, 1, 0, 1])},
    )
    for suffix, form in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("tif", "TIFF"), ("avif", "AVIF")):
        profile = wide_gamut_profile()
        found[f"said.{suffix}"] = saved(two[0], form, exif=b"Exif\0\0" + said, icc_profile=profile)
    found["key.png"] = saved(half_light("RGB", size), "PNG", transparency=(0, 0, 0))
    found["arithmetic.jpg"] = arithmetic_jpeg(size)
    found["raw.dng"] = camera_raw(size=(64, 48))
    return found
