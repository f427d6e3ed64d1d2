import weakref
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

import cbir
from cbir.collection.embedded.points import EmbeddedCollection
from cbir.evaluate import protocol, ranking
from cbir.evaluate.copies.measure import measure_copies
from cbir.evaluate.options import CopiesOptions, EvaluationOptions
from cbir.evaluate.protocol import evaluate, evaluate_distorted
from cbir.evaluate.ranking import RankedBlock, rank
from cbir.evaluate.run import save_run
from cbir.ingest.sources.digits import digits as load_digits
from cbir.ingest.sources.source import Item
from cbir.model.distortion import COPIES, distortions
from tests.conftest import picture
from tests.evaluate.test_scores import make_run


def test_evaluation_equals_scikit_learn_on_the_same_features(digits: Path):
    """Everything again by other means: embed, numpy distances, scikit-learn's score."""
    evaluation = cbir.evaluate("digits", queries=50, depths=[10, 100, 1500], seed=3)
    source = load_digits()
    database, queries = list(source.items()), {item.uri: item for item in source.queries()}
    chosen = [queries[uri] for uri in evaluation.run.query_uris]
    assert len({item.uri for item in chosen}) == 50
    with cbir.open("digits") as searcher:
        stored = searcher.embed_many([item.open() for item in database])
        asked = searcher.embed_many([item.open() for item in chosen])
    labels = np.array([item.label for item in database])
    for n, lrap in evaluation.scores.lrap.items():
        expected = []
        for query, item in zip(asked, chosen, strict=True):
            distances = np.linalg.norm(stored - query, axis=1)
            nearest = np.argsort(distances)[:n]
            relevant = (labels[nearest] == item.label)[None]
            expected.append(label_ranking_average_precision_score(relevant, -distances[nearest][None]))
        assert lrap == pytest.approx(np.mean(expected), abs=1e-4)
    assert evaluation.scores.ann_recall_at_10 == 1
    assert evaluation.scores.precision_at[1] > 0.7


def test_files_that_an_evaluation_writes(digits: Path):
    evaluation = cbir.evaluate("digits", queries=20)
    assert sorted(p.name for p in evaluation.folder.iterdir()) == ["curve.png", "run.npz", "scores.json"]
    assert evaluation.folder.parent == digits / "runs"
    assert evaluation.run_file.stat().st_size < 20 * 1500  # bits, not ids or distances


def test_a_stored_run_is_scored_again_without_searching(digits: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    first = cbir.evaluate("digits", queries=20, depths=[100])
    moved = tmp_path / "moved"
    first.folder.rename(moved)
    before = {path.name: path.read_bytes() for path in moved.iterdir()}
    monkeypatch.setenv("CBIR_HOME", str(tmp_path / "empty"))
    again = cbir.evaluate(from_run=moved, depths=[100, 7])
    with pytest.raises(cbir.CbirError, match="leave out queries, expand, or from_run"):
        cbir.evaluate(from_run=moved, queries=5, expand=2)
    assert again.scores.lrap[100] == first.scores.lrap[100]
    assert 7 in again.scores.lrap
    assert again.run_file == moved / "run.npz"
    assert again.curve.parent == again.folder != moved
    assert {path.name: path.read_bytes() for path in moved.iterdir()} == before


def test_a_run_that_is_scored_again_is_written_among_the_runs_whatever_it_calls_its_collection(
    home: Path, tmp_path: Path
):
    made = make_run(np.array([[True, False, True]]))
    for number, name in enumerate(("../../outside", str(tmp_path / "outside"), "a/b", ".hidden", "ingest-x")):
        save_run(replace(made, collection=name), tmp_path / "given" / "run.npz")
        before = {path for path in tmp_path.rglob("*") if home not in path.parents and path != home}
        again = cbir.evaluate(from_run=tmp_path / "given")
        assert {path for path in tmp_path.rglob("*") if home not in path.parents and path != home} == before
        assert again.folder.parent == home / "runs"
        assert len(list((home / "runs").iterdir())) == number + 1
        assert again.folder.name.startswith("rescored-")


def test_an_invalid_depth_is_refused_before_searching(digits: Path):
    runs = list((digits / "runs").glob("*"))
    with pytest.raises(cbir.CbirError, match="at least 1"):
        cbir.evaluate("digits", depths=[0])
    assert list((digits / "runs").glob("*")) == runs


def test_queries_are_drawn_by_seed(digits: Path):
    one, same, other = (cbir.evaluate("digits", queries=10, seed=seed).run.query_uris.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_without_held_out_images_each_is_left_out_of_its_own_ranking(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle)
    evaluation = cbir.evaluate("pictures")
    assert (evaluation.run.database, evaluation.run.ranks, len(evaluation.run)) == (6, 5, 6)
    assert evaluation.as_json()["leave_one_out"]
    assert evaluation.scores.recall_at[5] == 1
    assert evaluation.scores.ann_recall_at_10 == 1


def test_a_number_and_its_text_are_the_same_class(home: Path, tmp_path: Path, bundle: Path):
    """Digits from the dataset and the same digits from class folders, in one collection."""
    cbir.ingest("digits", model=bundle, limit=200)
    for number, item in enumerate(islice(load_digits().items(), 200)):
        (tmp_path / "copies" / str(item.label)).mkdir(parents=True, exist_ok=True)
        item.open().save(tmp_path / "copies" / str(item.label) / f"{number}.png")
    alone = cbir.evaluate("digits", queries=100).scores
    cbir.ingest(tmp_path / "copies", collection="digits")
    both = cbir.evaluate("digits", queries=100).scores
    assert both.precision_at[1] == pytest.approx(alone.precision_at[1], abs=0.02)
    assert both.map == pytest.approx(alone.map, abs=0.05)


def test_what_has_no_label_is_of_no_class_and_each_stage_reports_its_end(home: Path, tmp_path: Path):
    stored = [None, "a", "b", "b", "7", "7", "7"]
    for number, label in enumerate(stored):
        place = tmp_path / "some" / (label or "none")
        place.mkdir(parents=True, exist_ok=True)
        picture(number).save(place / f"{number}.png")
    cbir.ingest(tmp_path / "some", encoder="pixels")
    asked = ["b", "7", 7, "a", "unknown", None]
    held_out = [Item(f"q/{n}", label, "q", lambda seed=50 + n: picture(seed)) for n, label in enumerate(asked)]
    reports = defaultdict(list)

    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        reports[stage].append((done, total, note))

    with cbir.open("some") as searcher:
        (page,) = searcher.collection.scroll()
        payloads = [{**each, "label": None if each["label"] == "none" else each["label"]} for each in page.payloads]
        searcher.collection.replace_payloads(page.ids, payloads)
        run = evaluate(searcher, held_out, EvaluationOptions(seed=3, expand=1), progress=progress)
        mirrored = list(evaluate_distorted(searcher, held_out, distortions(["mirror"]), progress=progress))[1]
        alone = evaluate(searcher, [], progress=progress)
        made = searcher.metadata
    for each in (run, mirrored):
        found = dict(zip(each.query_uris, each.bits(0, 5)[0].sum(axis=1), strict=True))
        assert found == {"q/0": 2, "q/1": 3, "q/2": 3, "q/3": 1, "q/4": 0}
        assert (each.database, each.ranks, each.copies.tolist()) == (7, 7, [0] * 5)
    assert sorted(alone.bits(0, 6)[0].sum(axis=1)) == [0, 1, 1, 2, 2, 2]
    assert (alone.database, alone.ranks) == (7, 6)
    assert reports == {
        "load": [(7, 7, "")] * 3,
        "queries": [(5, 5, "")] * 2,
        "rank": [(5, 5, ""), (5, 5, ""), (5, 5, "mirror"), (6, 6, "")],
    }
    assert datetime.now(UTC) - datetime.fromisoformat(run.about.pop("created")) < timedelta(hours=1)
    assert run.about == {
        **EvaluationOptions(expand=1).ranking,
        "seed": 3,
        "smooth": 0,
        "fingerprint": made.fingerprint,
        "model": made.model,
        "sources": ["some"],
        "leave_one_out": False,
        "distortion": None,
    }


def test_what_is_read_in_many_pages_scores_as_what_is_read_in_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(11):
        place = tmp_path / "some" / f"class {number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        picture(number).save(place / f"{number}.png")
    cbir.ingest(tmp_path / "some", encoder="pixels")

    def measured() -> tuple[object, ...]:
        with cbir.open("some") as searcher:
            run = evaluate(searcher, [], EvaluationOptions(seed=3))
            copies = measure_copies(searcher, COPIES[:2], CopiesOptions(queries=7, seed=3))
            damage = searcher.collection.verify()
        return run.query_uris.tolist(), run.bits(0, 10)[0].tolist(), copies.pictures, copies.rows, damage

    at_once = measured()
    scroll = EmbeddedCollection.scroll
    monkeypatch.setattr(EmbeddedCollection, "scroll", lambda *of, **asked: scroll(*of, **{**asked, "page": 5}))
    assert measured() == at_once


def test_rankings_are_let_go_of_one_after_the_other(digits: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watched(*given: Any) -> Iterator[RankedBlock]:
        for block in rank(*given):
            assert block.distances.base is not None  # what has the memory
            made.append(weakref.ref(block.distances.base))
            yield block
            alive.append(sum(each() is not None for each in made))

    monkeypatch.setattr(protocol, "rank", watched)
    monkeypatch.setattr(ranking, "_BLOCK_VALUES", 3_000)
    assert cbir.evaluate("digits", queries=40).scores.queries == 40
    assert len(alive) == 20
    assert max(alive) <= 2


def test_queries_that_nothing_is_relevant_to_are_counted(home: Path, bundle: Path):
    cbir.ingest("digits", model=bundle, limit=5)  # the digits 0 to 4
    scores = cbir.evaluate("digits").scores
    assert 100 < scores.without_relevant < 200
    assert scores.lrap[5] - scores.map == pytest.approx(scores.without_relevant / scores.queries)


def test_a_collection_without_labels_is_refused_with_advice(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures / "b", model=bundle)
    for refused in (cbir.evaluate, lambda name: cbir.evaluate_distorted(name, ["blur"])):
        with pytest.raises(cbir.NoLabelsError, match=r"no labels.*one folder per class.*cbir\.evaluate_copies\('b'\)"):
            refused("b")


@pytest.mark.parametrize("labels", [["a", "a", "a"], [7, "7", 7]])
def test_one_label_for_all_is_none(home: Path, pictures: Path, labels: list[str | int]):
    """A zip of photographs unpacks into a single folder, whose name says nothing about them: every hit is right."""
    cbir.ingest(pictures / "b", encoder="pixels")
    with cbir.open("b") as searcher:
        (page,) = searcher.collection.scroll()
        for payload, label in zip(page.payloads, labels, strict=True):
            payload["label"] = label
        searcher.collection.replace_payloads(page.ids, page.payloads)
    with pytest.raises(cbir.NoLabelsError, match="no labels that tell pictures apart"):
        cbir.evaluate("b")
    with cbir.open("b") as searcher:  # one of them without
        searcher.collection.replace_payloads(page.ids[:1], [{**page.payloads[0], "label": None}])
    assert cbir.evaluate("b").scores.queries == 2


def test_one_image_cannot_be_evaluated(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, model=bundle, limit=1)
    with pytest.raises(cbir.CbirError, match="one image"):
        cbir.evaluate("pictures")


def test_queries_of_a_folder_that_is_gone_are_refused_with_advice(home: Path, pictures: Path):
    cbir.ingest(pictures, encoder="pixels", smooth=1)
    pictures.rename(pictures.with_name("moved"))
    gone = rf"\(the first: {pictures}/.*\.png does not exist\)\. If the folder has moved, ingest it from its new place"
    with pytest.raises(cbir.CbirError, match=gone):
        cbir.evaluate("pictures")
