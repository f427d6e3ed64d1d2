"""Values in a filter that no point has: what is said of them, whatever the engine."""

import numpy as np
import pytest

from cbir.collection.fields import BY_NAME
from cbir.collection.filter import AllOf, AnyOf, Like, Not
from cbir.collection.filter_text import parse_where
from cbir.collection.interface import Collection
from cbir.collection.stored_fields import read_where
from cbir.collection.unmatched import unmatched
from tests.collection.sample import ids


@pytest.fixture
def photos(points: Collection) -> Collection:
    """Twenty photographs of folders two deep, with names of their own."""
    payloads = [
        {
            "uri": f"Holidays/{2020 + n % 2}/IMG_{n:04}.jpg",
            "folder": f"Holidays/{2020 + n % 2}",
            "name": f"IMG_{n:04}.jpg",
            "format": "JPEG" if n % 3 else "PNG",
            "label": n % 2 if n % 3 else "cat, dog",
            "tags": ["sea", "Sky"],
        }
        for n in range(20)
    ]
    points.upsert(ids(20), np.ones((20, 4), np.float32), payloads)
    return points


def said(photos: Collection, *where: str) -> list[str]:
    found = read_where(list(where), photos)
    assert found is not None
    return list(unmatched(found, photos))


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("format=jpeg", "no image has format=jpeg; stored are: JPEG, PNG"),
        ("format=", 'no image has format=""; stored are: JPEG, PNG'),
        ("label=7", 'no image has label=7; stored are: "cat, dog", 0, 1'),
        ("tags=sky", "no image has tags=sky; stored are: Sky, sea"),
        ("folder=Holidays", "no image has folder=Holidays; 20 images have folder=Holidays/**"),
        ("folder=Holidays/", "no image has folder=Holidays/; 20 images have folder=Holidays/**"),
        ("folder=Holidays/*/x", "no image has folder=Holidays/*/x"),
        ("uri=Holidays/*", "no image has uri=Holidays/*; 20 images have uri=Holidays/**"),
        ("folder=holidays/**", "no image has folder=holidays/**; upper and lower case differ: Holidays/2020 is stored"),
        (
            "folder=/home/me/Holidays/2020",
            "no image has folder=/home/me/Holidays/2020; "
            "folder is a path below the folder that was ingested, without that folder's own",
        ),
        ("name=img_0003.JPG", "no image has name=img_0003.JPG; upper and lower case differ: IMG_0003.jpg is stored"),
        ("name=_0003", "no image has name=_0003; 1 image has name=*_0003*"),
        ("name=IMG_00033.jpg", "no image has name=IMG_00033.jpg; did you mean IMG_0003.jpg?"),
        ("name=[ab]*", "no image has name=[ab]*"),
        ("name=\x1b[31m*", r"no image has name=\x1b[31m*"),
    ],
)
def test_what_is_said_of_a_value_that_no_point_has(photos: Collection, condition: str, hint: str):
    (told, *others) = said(photos, condition)
    assert not others
    # Which of the stored values is shown as an example depends on the order of ids.
    assert told.replace("Holidays/2021 is", "Holidays/2020 is").replace("IMG_0013", "IMG_0003") == hint


def test_of_several_conditions_those_are_told_that_no_point_passes(photos: Collection):
    assert said(photos, "format=JPEG", "folder=Holidays/2020") == []
    assert said(photos, "format=JPEG,gif,bmp") == [
        "no image has format=gif; stored are: JPEG, PNG",
        "no image has format=bmp; stored are: JPEG, PNG",
    ]
    assert said(photos, "format!=gif", "name=x*") == ["no image has name=x*"]
    assert len(list(unmatched(AnyOf(tuple(Like("name", f"{n}x*") for n in range(9))), photos))) == 5
    assert list(unmatched(AllOf((Not(Like("name", "x*")),)), photos)) == []
    camera = parse_where(["camera=Pixel"], BY_NAME)
    assert list(unmatched(camera, photos)) == []  # no point has the field, which is said elsewhere
