"""Whatever happens to the files between two ingests, the collection is what a fresh ingest would make."""

import os
import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import cbir
from cbir.collection.embedded.engine import EmbeddedEngine
from cbir.collection.place import places_of
from cbir.ingest.report import Report
from tests.conftest import picture

FOLDERS = ("a", "b", "c")
NAMES = ("1.png", "2.png", "3.png")
#: Shrinking a failure would take minutes: each example is some ingests.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
#: Contents that files take turns to have; the last one is no picture.
CONTENTS = 5

paths = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES))
operations = st.one_of(
    st.tuples(st.just("write"), paths, st.integers(0, CONTENTS)),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("copy"), paths, paths),
    st.tuples(st.just("swap"), paths, paths),
    st.tuples(st.just("remove"), paths, st.just(0)),
    st.tuples(st.just("touch"), paths, st.integers(0, 9)),
    st.tuples(st.just("rename folder"), st.sampled_from(FOLDERS), st.sampled_from(FOLDERS)),
    st.tuples(st.just("ingest"), st.sampled_from(["", "--prune", "--checksum"]), st.just(0)),
)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("contents")
    for number in range(CONTENTS):
        picture(number).save(folder / f"{number}.png")
    return [*((folder / f"{number}.png").read_bytes() for number in range(CONTENTS)), b"no picture"]


def apply(root: Path, operation: tuple[str, object, object], contents: list[bytes]) -> None:
    """Do something to files; what makes no sense is not done."""
    what, one, other = operation
    if what == "rename folder":
        source, target = root / str(one), root / str(other)
        if source.exists() and not target.exists():
            source.rename(target)
        return
    assert isinstance(one, tuple)
    source = root.joinpath(*one)
    if what == "write":
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(contents[int(str(other))])
    if not source.exists():
        return
    if what == "remove":
        source.unlink()
    elif what == "touch":
        os.utime(source, ns=(0, int(str(other))))
    elif isinstance(other, tuple):
        target = root.joinpath(*other)
        target.parent.mkdir(exist_ok=True)
        if what == "copy" and target != source:
            shutil.copy2(source, target)
        elif what == "move":
            source.replace(target)
        elif what == "swap" and target.exists() and target != source:
            between = root / "between"
            source.rename(between)
            target.rename(source)
            between.rename(target)


def stored(home: Path, name: str) -> dict[str, tuple[list[str], str, bytes]]:
    """Return places, label of the first one, and feature of each content; each must be stored once."""
    with closing(EmbeddedEngine(home / "collections").open(name)) as collection:
        points = [
            (payload, vector)
            for page in collection.scroll()
            for payload, vector in zip(page.payloads, page.vectors, strict=True)
        ]
    found = {}
    for payload, vector in points:
        assert payload["sha256"] not in found
        assert payload["label"] == payload["folder"] == payload["uri"].partition("/")[0]
        found[payload["sha256"]] = (sorted(place.uri for place in places_of(payload)), "", vector.tobytes())
    places = [uri for uris, _, _ in found.values() for uri in uris]
    assert len(places) == len(set(places))
    return found


def consistent(report: Report) -> Report:
    done = report.ingested + report.unchanged + report.updated + report.moved + report.copies + report.skipped
    assert report.found == done + sum(left.count for left in report.left_out)
    return report


def expect(root: Path, contents: list[bytes]) -> dict[bytes, list[str]]:
    """Return which readable contents are where."""
    there: dict[bytes, list[str]] = {}
    for file in sorted(root.glob("*/*.png")):
        if file.read_bytes() != contents[CONTENTS]:
            there.setdefault(file.read_bytes(), []).append(str(file.relative_to(root)))
    return there


@settings(max_examples=25, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(operations, max_size=14), seed=st.integers(0, 999))
def test_after_any_changes_the_collection_is_that_of_a_fresh_ingest(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], steps: list, seed: int
):
    base = tmp_path_factory.mktemp("step")
    root, home = base / "pictures", base / "home"
    root.mkdir()
    generator = random.Random(seed)
    for folder in FOLDERS[:2]:
        for name in NAMES:
            apply(root, ("write", (folder, name), generator.randrange(CONTENTS)), contents)
    apply(root, ("write", ("a", "always.png"), 0), contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CBIR_HOME", str(home))
        consistent(cbir.ingest(root, encoder="pixels"))
        for step in steps:
            if step[0] == "ingest":
                consistent(
                    cbir.ingest(root, prune="prune" in step[1], force="prune" in step[1], checksum="sum" in step[1])
                )
            else:
                apply(root, step, contents)
        apply(root, ("write", ("b", "always.png"), 1), contents)
        unreadable = any(file.read_bytes() == contents[CONTENTS] for file in root.glob("*/*.png"))
        consistent(cbir.ingest(root, prune=True, force=True))
        again = consistent(cbir.ingest(root))
        assert (again.ingested, again.updated, again.moved, again.copies, again.gone) == (0, 0, 0, 0, 0)
        fresh = consistent(cbir.ingest(root, collection="fresh", model=home / "models" / "pictures"))
        after, before = stored(home, "pictures"), stored(home, "fresh")
        if not unreadable:  # a place whose file cannot be read keeps what was there
            assert after == before
            assert sorted(uris for uris, _, _ in after.values()) == sorted(expect(root, contents).values())
            assert fresh.points == again.points
        else:
            assert before.keys() <= after.keys()
    shutil.rmtree(base)  # of 100 MB: Qdrant's files are that large before they hold anything
