"""Fonts for tests: of a few letters, which are boxes whose height tells one from another."""

from pathlib import Path

import pytest

from cbir.search import typefaces
from cbir.search.typefaces import Face


def forget() -> None:
    typefaces._KNOWN.clear()
    typefaces._faces.cache_clear()


def font(path: Path, letters: str, family: str = "Test Sans", style: str = "Regular") -> Face:
    """Write a font of some letters."""
    builder = pytest.importorskip("fontTools.fontBuilder")
    names = {letter: f"uni{ord(letter):06X}" for letter in letters}
    made = builder.FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", *names.values()])
    made.setupCharacterMap({ord(letter): name for letter, name in names.items()})
    made.setupGlyf(
        {".notdef": box(400, 400), **{name: box(900, 200 + 120 * n) for n, name in enumerate(names.values())}}
    )
    made.setupHorizontalMetrics(dict.fromkeys((".notdef", *names.values()), (1000, 0)))
    made.setupHorizontalHeader(ascent=900, descent=-200)
    made.setupNameTable({"familyName": family, "styleName": style})
    made.setupOS2()
    made.setupPost()
    path.parent.mkdir(exist_ok=True)
    made.save(path)
    return Face(str(path))


def box(wide: int, high: int) -> object:
    pen = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen(None)
    pen.moveTo((50, 0))
    for corner in ((50, high), (wide, high), (wide, 0)):
        pen.lineTo(corner)
    pen.closePath()
    return pen.glyph()
