"""Ids of points: the same image, the same id; those given before stay."""

import uuid

import pytest

from cbir.collection.point import content_id, point_id


def named(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


@pytest.mark.parametrize(
    ("source", "uri", "key"),
    [
        ("mnist", "mnist:train/7", "mnist:train/7"),
        ("photos", "cats/1.png", "photos:cats/1.png"),
        ("photos", "photos:x.png", "photos:x.png"),
        ("photos", "./photos:x.png", "photos:./photos:x.png"),
        ("photos", "photos/x.png", "photos:photos/x.png"),
        ("/home/me/photos", "/home/me/photos/cats/1.png", "/home/me/photos/cats/1.png"),
        ("photos", "C:\\photos\\1.png", "C:\\photos\\1.png"),
        ("photos", "münchen käse.png", "photos:münchen käse.png"),
    ],
)
def test_an_id_follows_from_source_and_uri(source: str, uri: str, key: str):
    assert point_id(source, uri) == named(key)


def test_ids_given_by_earlier_versions_stay():
    assert point_id("digits", "digits:database/42") == "08805787-d3c7-53e0-89a1-df143cf44b27"


def test_the_id_of_a_content_is_that_of_its_hash():
    assert content_id("0" * 64) == str(uuid.uuid5(uuid.NAMESPACE_URL, "sha256:" + "0" * 64))
