"""`cbir info --check`, and what mends a damaged collection."""

import hashlib
import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import cbir
from cbir.collection import home as homes
from cbir.collection.embedded.unclean import DamageWarning
from cbir.collection.interface import Collection
from cbir.core.settings import read_settings
from tests.commands import failure, run


def opened(name: str = "pictures") -> Collection:
    return homes.open_engine(read_settings()).open(name)


def stored(collection: Collection) -> dict[str, tuple[bytes, dict]]:
    pages = list(collection.scroll())
    return {
        identity: (vector.tobytes(), {k: v for k, v in payload.items() if k != "ingested_at"})
        for page in pages
        for identity, vector, payload in zip(page.ids, page.vectors, page.payloads, strict=True)
    }


def damage_vectors(home: Path, vectors: list[np.ndarray]) -> None:
    for vector in vectors:
        done = 0
        for file in (home / "collections").rglob("chunk_*.mmap"):
            content = file.read_bytes()
            done += vector.tobytes() in content
            file.write_bytes(content.replace(vector.tobytes(), (vector + 1).tobytes()))
        assert done


def test_a_sound_collection_is_said_to_be(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    points = len(list(pictures.rglob("*.png")))
    assert run("info", "--check").stdout == f"pictures: {points} points, all as stored\n"
    assert run("info", "Pictures", "--check").stdout == run("info", "--check").stdout
    (document,) = json.loads(run("info", "--check", "--json").stdout)
    assert (document["sound"], document["points"], document["damaged"]) == (True, points, [])
    assert "no collection 'other'" in failure("info", "other", "--check")
    assert "cbir info pictures --check" in failure("info", "pictures")


def test_damaged_points_are_named_and_the_next_ingest_encodes_them_again(home: Path, pictures: Path):
    """A folder, with a copy of a damaged picture in it and one in another folder, and a field of another tool's."""
    first, second = pictures / "b" / "0.png", pictures / "b" / "1.png"
    shutil.copy(first, pictures / "b" / "twin.png")
    elsewhere = pictures.with_name("elsewhere")
    elsewhere.mkdir()
    shutil.copy(first, elsewhere / "third.png")
    cbir.ingest(pictures, encoder="pixels")
    cbir.ingest(elsewhere, collection="pictures")
    with closing(opened()) as collection:
        before = stored(collection)
        chosen = [i for i, (_, payload) in before.items() if payload["uri"] in ("b/0.png", "b/1.png")]
        assert len(chosen) == 2
        for identity in chosen:
            payload = collection.payloads([identity])[identity]
            collection.replace_payloads([identity], [{**payload, "mine": "keep"}])
        before = stored(collection)
        vectors = list(collection.vectors(chosen).values())
    damage_vectors(home, vectors)
    done = run("info", "--check", code=1)
    assert done.stdout.startswith(f"pictures: 2 points of {len(before)} damaged\n")
    assert f"{second}: vector" in done.stdout
    assert f"cbir ingest {pictures} --collection pictures --checksum" in done.stdout
    with pytest.warns(DamageWarning, match="2 points of"):
        report = cbir.ingest(pictures)
    assert (report.ingested, report.skipped, report.gone) == (2, 0, 0)
    assert report.unchanged == report.found - 2
    assert run("info", "--check").stdout.endswith("all as stored\n")
    with closing(opened()) as collection:
        assert stored(collection) == before
    report = cbir.ingest(pictures)
    assert report.unchanged == report.found


def test_an_ingest_by_checksum_finds_damage_itself_also_in_fields(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    with closing(opened()) as collection:
        before = stored(collection)
    sha256 = hashlib.sha256((pictures / "b" / "0.png").read_bytes()).hexdigest().encode()
    done = 0
    for file in (home / "collections").rglob("payload_storage/page_*.dat"):
        content = file.read_bytes()
        done += sha256 in content
        file.write_bytes(content.replace(sha256, sha256[::-1]))
    assert done
    report = cbir.ingest(pictures, checksum=True)
    assert (report.ingested, report.gone, report.moved, report.copies) == (1, 0, 0, 0)
    with closing(opened()) as collection:
        assert stored(collection) == before


def test_images_of_a_dataset_are_encoded_again(home: Path):
    cbir.ingest("digits", encoder="pixels", limit=50)
    with closing(opened("digits")) as collection:
        before = stored(collection)
        vectors = [next(collection.scroll()).vectors[3]]
    damage_vectors(home, vectors)
    report = cbir.ingest("digits", limit=50, checksum=True)
    assert (report.ingested, report.unchanged) == (1, 49)
    with closing(opened("digits")) as collection:
        assert stored(collection) == before


def test_a_collection_that_cannot_be_read_does_not_hide_the_others(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels")
    cbir.ingest(pictures, collection="another", encoder="pixels")
    for file in (home / "collections" / "another").rglob("segment.json"):
        file.write_text("{")
    done = run("info", "--check", code=1)
    assert "another: collection 'another': " in done.stdout
    assert "all as stored" in done.stdout
