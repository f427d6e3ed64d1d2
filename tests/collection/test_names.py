"""A collection has one name, in whatever case and Unicode form it is typed; no spelling of it loses a point."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cbir.collection.embedded.card import has_metadata
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.embedded.leftovers import sweep
from cbir.collection.errors import CollectionBusyError, CollectionError, NoSuchCollectionError
from cbir.collection.interface import Engine
from cbir.collection.lock import is_held
from cbir.collection.served.engine import ServedEngine
from cbir.collection.served.late import ServerWarning
from tests.caseless import ignore_case
from tests.collection.sample import METADATA, fill

CAFE, CAFE_APART = "Caf\u00e9", "cafe\u0301"


def count(engine: Engine, name: str) -> int:
    with closing(engine.open(name)) as collection:
        return collection.count()


def make(engine: Engine, name: str, points: int = 3) -> None:
    with closing(engine.create(name, METADATA)) as collection:
        fill(collection, np.ones((points, 4), np.float32))


@pytest.mark.parametrize(("name", "other"), [("digits", "DIGITS"), (CAFE, CAFE_APART), ("हिन्दी", "हि\u200dन्दी")])
def test_every_spelling_is_the_same_collection(engine: Engine, name: str, other: str):
    make(engine, name)
    assert engine.exists(other)
    assert engine.spelled(other) == name
    assert engine.metadata(other).fingerprint == METADATA.fingerprint
    with closing(engine.open(other)) as collection:
        assert collection.name == name
        assert collection.count() == 3
    assert engine.other_names(other) == []
    with pytest.raises(CollectionError, match=f"'{name}' already exists"):
        engine.create(other, METADATA)
    with engine.replacement(other, METADATA) as collection:
        fill(collection, np.ones((5, 4), np.float32))
    assert engine.names() == [name]
    assert count(engine, name) == 5
    with (
        engine.writing(other),
        pytest.raises(CollectionBusyError, match="another process is filling"),
        engine.writing(name),
    ):
        pass
    assert count(engine, other) == 5
    engine.delete(other)
    assert not engine.names()
    assert not engine.exists(name)


def test_a_name_is_stored_in_nfc(engine: Engine):
    assert engine.spelled("cafe\u0301") == "caf\u00e9"
    make(engine, "cafe\u0301")
    assert engine.names() == ["caf\u00e9"]
    assert engine.spelled("nothing") == "nothing"


@pytest.mark.parametrize("name", ["", "../other", "con", "nul.txt", "a/b", "x" * 101])
def test_what_is_no_name_is_refused_before_anything_is_made(engine: Engine, name: str):
    make(engine, "other")
    assert not engine.exists(name)
    with pytest.raises(CollectionError, match=r"cannot name a collection.*such as '"):
        engine.create(name, METADATA)
    assert engine.names() == ["other"]


@pytest.fixture
def caseless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedEngine:
    """An engine on a file system that ignores case."""
    folder = tmp_path / "collections"
    folder.mkdir()
    ignore_case(folder, monkeypatch)
    (folder / "Probe").mkdir()
    assert (folder / "probe").is_dir()
    with pytest.raises(FileExistsError):
        (folder / "pROBE").mkdir()
    (folder / "PROBE").rmdir()
    return EmbeddedEngine(folder, timeout=0)


def test_no_spelling_loses_a_point_where_the_file_system_ignores_case(caseless: EmbeddedEngine):
    make(caseless, "digits", 50)
    with pytest.raises(CollectionError, match="already exists"):
        caseless.create("Digits", METADATA)
    with caseless.writing("DIGITS"):
        assert is_held(caseless.folder / "digits" / ".writing")
    # Opened under two spellings, which Edge would refuse, or under one that the disk does not list.
    with closing(caseless.open("dIGITS")) as one, closing(caseless.open("digits")) as other:
        assert one.count() == other.count() == 50
    with pytest.raises(RuntimeError), caseless.replacement("Digits", METADATA):
        raise RuntimeError
    assert count(caseless, "Digits") == 50
    assert [path.name for path in caseless.folder.iterdir()] == ["digits"]


def test_a_folder_that_is_being_made_is_one_with_its_other_spellings(caseless: EmbeddedEngine):
    with caseless.writing("digits"):
        with pytest.raises(CollectionBusyError), caseless.writing("Digits"):
            pass
        with closing(caseless.create("DIGITS", METADATA)) as collection:
            assert collection.name == "digits"


def test_two_collections_of_an_older_version_stay_two(tmp_path: Path):
    """On a file system that tells case apart, an older cbir made both; each has its own name."""
    engine = EmbeddedEngine(tmp_path, timeout=0)
    make(engine, "digits", 2)
    make(engine, "other", 4)
    (tmp_path / "other").rename(tmp_path / "Digits")
    assert engine.names() == ["Digits", "digits"]
    assert [count(engine, name) for name in ("Digits", "digits")] == [4, 2]
    engine.delete("Digits")
    assert count(engine, "digits") == count(engine, "Digits") == 2


def test_a_collection_of_an_older_version_keeps_a_name_that_no_new_one_gets(tmp_path: Path):
    engine = EmbeddedEngine(tmp_path, timeout=0)
    make(engine, "other")
    (tmp_path / "other").rename(tmp_path / "con")
    with engine.writing("con"), closing(engine.open("con")) as collection:
        assert collection.count() == 3
        collection.remember(METADATA)
    engine.delete("con")


def test_of_a_folder_with_a_card_no_shard_is_swept_that_may_be_in_use(tmp_path: Path):
    engine = EmbeddedEngine(tmp_path, timeout=0)
    make(engine, "c")
    folder = tmp_path / "c"
    (used,) = folder.glob("shard-*")
    (folder / "shard-replaced").mkdir()
    sweep(folder)
    assert list(folder.glob("shard-*")) == [used]
    (folder / "shard-replaced").mkdir()
    card = (folder / "collection.json").read_bytes()
    for damaged in (b"{", card.replace(b'"format": 3', b'"format": 99')):
        (folder / "collection.json").write_bytes(damaged)
        sweep(folder)
        with engine.writing("c"):
            pass
        assert len(list(folder.glob("shard-*"))) == 2
        assert has_metadata(folder)
    (folder / "collection.json").unlink()
    sweep(folder)
    assert not list(folder.glob("shard-*"))


def test_what_is_no_text_is_the_name_of_nothing(engine: Engine):
    """What a shell gives that is not UTF-8, Python holds as halves of characters."""
    assert not engine.exists("\udcff")
    with pytest.raises(NoSuchCollectionError, match="no collection"):
        engine.open("\udcff")
    with pytest.raises(CollectionError, match="cannot name a collection"):
        engine.create("\udcff", METADATA)


def test_what_is_behind_a_name_has_no_other_spelling_of_what_is_there(served: ServedEngine):
    """A server's disk may ignore case: there, `Digits@1` would be the folder of `digits@1`."""
    served.server.client.create_collection("digits@1", vectors_config={})
    with pytest.warns(ServerWarning, match="'digits@1' .* has no alias"):
        served.create("Digits", METADATA).close()
    assert served.names() == ["Digits"]
    assert [each.collection_name for each in served.server.client.get_aliases().aliases] == ["Digits@2"]


def test_another_tools_collection_is_not_filled_under_another_spelling(served: ServedEngine):
    served.server.client.create_collection("Photos", vectors_config={})
    assert not served.exists("photos")
    with pytest.raises(CollectionError, match=r"collection 'Photos' .* was not filled by cbir"):
        served.create("photos", METADATA)
