"""A listing holds files outside of memory, in the order in which they came."""

import pickle
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.ingest.sources import listing as listing_module
from cbir.ingest.sources.listing import Listing
from cbir.ingest.sources.source import SourceError


def filled(folders: dict[bytes, list[bytes]]) -> Listing:
    listing = Listing("size")
    for folder, names in folders.items():
        listing.add(folder, ((name, len(name)) for name in names))
    return listing


def paths(files) -> list[bytes]:
    return [file.path for file in files]


parts = st.binary(min_size=1, max_size=4).filter(lambda part: not {0, 47} & set(part))
folders = st.lists(parts, max_size=3).map(b"/".join)


@given(st.dictionaries(folders, st.lists(parts, unique=True, max_size=9), max_size=6), st.integers(1, 5))
def test_files_come_back_in_their_order_page_by_page(held: dict[bytes, list[bytes]], page: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing_module, "_FETCHED", page)
        listing = filled(held)
        wanted = [(folder, name, (len(name),)) for folder, names in held.items() for name in names]
        assert [(file.folder, file.name, file.extra) for file in listing.files] == wanted
        assert len(listing.files) == len(wanted)
        again = pickle.loads(pickle.dumps(listing))
        assert paths(again.files) == paths(listing.files)


@given(st.sets(folders, min_size=1, max_size=12))
def test_folders_follow_each_other_as_a_walk_visits_them(held: set[bytes]):
    listing = Listing()
    listing.add_folders(held)
    seen, folder = [], listing.next_folder(b"")
    while folder is not None:
        seen.append(folder)
        folder = listing.next_folder(folder)
    assert seen == sorted((each for each in held if each), key=lambda path: path.split(b"/"))


@settings(max_examples=50)
@given(st.dictionaries(folders, st.lists(parts, unique=True, min_size=1, max_size=9), min_size=1), st.data())
def test_a_sample_takes_folders_in_turns_and_a_larger_one_has_all_of_it(held: dict[bytes, list[bytes]], data):
    files = filled(held).files
    count = data.draw(st.integers(0, len(files)))
    sample, larger = files.sample(count), files.sample(min(len(files), count + 1))
    assert len(paths(sample)) == len(sample) == count
    assert set(paths(sample)) <= set(paths(larger))
    order = paths(files)
    assert paths(sample) == sorted(paths(sample), key=order.index)
    taken = {folder: sum(file.folder == folder for file in sample) for folder in held}
    most = max(taken.values())
    assert all(number >= most - 1 or number == len(held[folder]) for folder, number in taken.items())


def test_a_part_is_what_lies_below_a_folder_not_beside_it():
    listing = filled({b"a": [b"1"], b"a/b": [b"2"], b"a b": [b"3"], b"a\x01": [b"4"], b"ab": [b"5"], b"": [b"a"]})
    assert paths(listing.files.within(b"a")) == [b"a/1", b"a/b/2"]
    assert paths(listing.files.within(b"ab", b"a/b")) == [b"a/b/2", b"ab/5"]
    assert listing.files.depths() == (0, 2)
    assert listing.files.within(b"a").depths() == (1, 2)
    assert len(listing.files.within(b"gone")) == 0
    assert paths(listing.files.within(b"a").sample(1)) in ([b"a/1"], [b"a/b/2"])


def test_threads_may_share_a_listing():
    listing = filled({b"x": [b"%05d" % number for number in range(5000)]})
    wanted, found = paths(listing.files), []
    threads = [threading.Thread(target=lambda: found.append(paths(listing.files))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


def test_a_full_disk_is_an_error_that_says_what_to_do():
    listing = filled({b"x": [b"1"]})
    listing._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(SourceError, match=r"list of files cannot be kept .*is full.*TMPDIR"):
        listing.add(b"y", ((b"name %09d" % number, 0) for number in range(100_000)))


def test_nothing_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    listing = filled({b"x": [b"%09d" % number for number in range(100)]})
    assert len(listing.files) == 100
    assert list(tmp_path.iterdir()) == []  # unlinked while it is in use
    assert isinstance(listing._database, sqlite3.Connection)
