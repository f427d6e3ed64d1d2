"""Encoders side by side on the bundled digits: what is done once is not done again."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.collection.served.engine import ServedEngine
from cbir.evaluate.compare import by_labels, measure
from cbir.ingest.sources.digits import digits as load_digits
from cbir.model import registry
from cbir.model.classical import pixels
from tests.commands import run
from tests.conftest import picture


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of two encoders: pixels, and pixels that pretend to learn from labels."""
    monkeypatch.setattr(registry, "PACKAGES", ["tests.encoders"])


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    """A folder of digits with queries, one of which is stored too."""
    source = load_digits()
    for part, items in (("database", source.items()), ("queries", source.queries())):
        for number, item in enumerate(items):
            if number < (100 if part == "database" else 20):
                place = tmp_path / "held out" / part / f"digit {item.label}"
                place.mkdir(parents=True, exist_ok=True)
                item.open().save(place / f"{number}.png")
    folder = tmp_path / "held out"
    copied = next((folder / "database" / "digit 1").iterdir())
    (folder / "queries" / "digit 1" / "copied.png").write_bytes(copied.read_bytes())
    return folder


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "table.md"}


def test_an_encoder_can_be_compared_with_itself_by_other_options(home: Path):
    done = cbir.compare("digits", ["pca:values=4", "pca:values=32,seed=1", "pixels"], limit=100, queries=10)
    assert [row.encoder for row in done.rows] == ["pca:values=4", "pca:values=32,seed=1", "pixels"]
    assert [row.values for row in done.rows] == [4, 32, 784]
    assert done.rows[1].recipe["seed"] == 1
    (again,) = cbir.compare("digits", ["pca:seed=1,values=32"], limit=100, queries=10).rows
    assert again == replace(done.rows[1], encoder="pca:seed=1,values=32")  # the same row, called as it is now


@pytest.mark.parametrize("wrong", ["pca:values", "pca:values=many", "pca:epochs=3", "nothing:values=3"])
def test_unknown_options_are_refused(home: Path, wrong: str):
    with pytest.raises(cbir.CbirError):
        cbir.compare("digits", [wrong], limit=100, queries=10)


def test_an_option_may_be_a_word_where_the_recipe_has_one(home: Path):
    with pytest.raises(cbir.CbirError, match="preset must be default or quality, not 'best'"):
        cbir.compare("digits", ["contrastive:preset=best"], limit=100, queries=10)


def test_stored_rows_are_reused_and_only_a_new_encoder_is_measured(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    first = cbir.compare("digits", ["pixels"], limit=300, queries=40)
    before = stamps(home / "runs")
    both = cbir.compare("digits", ["pixels", "pca"], limit=300, queries=40, options={"values": 8})
    assert both.rows[0] == first.rows[0]
    assert {path: stamp for path, stamp in stamps(home / "runs").items() if path in before} == before

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(measure, "run", refused)
    monkeypatch.setattr(by_labels, "evaluate", refused)
    before = stamps(home / "runs")
    again = cbir.compare(
        "digits", ["pixels", "pca"], limit=300, queries=40, options={"values": 8}, save=tmp_path / "out"
    )
    assert again == both
    assert stamps(home / "runs") == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["curves.png", "lineup.png", "table.md"]
    with pytest.raises(cbir.CbirError, match=r"table.md is a file; name a folder"):
        cbir.compare("digits", ["pixels"], limit=300, queries=40, save=tmp_path / "out" / "table.md")

    pixels, pca = again.rows
    assert (pixels.collection, pca.collection) == ("digits-pixels-limit-300", "digits-pca-limit-300-values-8")
    assert (pixels.values, pixels.bytes_a_point, pca.values) == (784, 3136, 8)
    assert pca.train_seconds is not None
    assert pixels.images_per_second > 0
    assert pca.recipe["values"] == 8
    stored = json.loads((pixels.folder / "scores.json").read_text())
    assert (pixels.points, pixels.scores.queries, pixels.scores.map) == (300, 40, stored["map"])
    runs = [np.load(row.folder / "run.npz") for row in again.rows]
    assert runs[0]["query_uris"].tolist() == runs[1]["query_uris"].tolist()
    with cbir.open(pixels.collection) as searcher:
        assert searcher.search("digits:database/17", 1)[0].uri == "digits:database/17"


def test_an_interrupted_row_is_continued(home: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(by_labels, "store_evaluation", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cbir.compare("digits", ["pixels"], limit=100, queries=10)
    bundles = stamps(home / "models")
    assert cbir.compare("digits", ["pixels"], limit=100, queries=10).rows[0].points == 100
    assert stamps(home / "models") == bundles


def test_pictures_are_read_once_to_learn_and_once_for_each_encoder_and_not_at_all_for_stored_rows(
    home: Path, tmp_path: Path, opened: list[bytes]
):
    folder = tmp_path / "many"
    for number in range(120):
        (folder / f"class {number % 3}").mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"class {number % 3}" / f"{number}.png")
    cbir.compare(folder, ["pca:values=4", "pixels", "pca:values=8"])
    drawn = len(opened) - 4 * 120
    assert 10 <= drawn <= 120  # the line-up opens a picture once, however often it is found
    opened.clear()
    cbir.compare(folder, ["pca:values=4", "pixels", "pca:values=8"])
    assert opened == []
    cbir.compare(folder, ["pca:values=4", "pixels", "pca:values=8"], seed=1)
    sampled = 60  # to choose the preprocessing
    assert len(opened) <= sampled + 120


def test_to_check_held_out_queries_no_stored_picture_is_opened(home: Path, held_out: Path, opened: list[bytes]):
    with pytest.warns(cbir.CbirWarning, match="1 of 21 queries"):
        cbir.compare(held_out, ["pixels", "pca:values=4"])
    learning, encoding, queries = 100, 2 * 100, 2 * 20
    drawn = len(opened) - learning - encoding - queries
    assert 20 <= drawn <= 10 + 100
    opened.clear()
    cbir.compare(held_out, ["pixels", "pca:values=4"])
    assert opened == []


def test_a_source_with_a_changed_picture_is_measured_again(home: Path, pictures: Path):
    (before,) = cbir.compare(pictures, ["pixels"]).rows
    (same,) = cbir.compare(pictures, ["pixels"]).rows
    changed = pictures / "b" / "1.png"
    picture(7).resize((40, 40)).save(changed)
    (after,) = cbir.compare(pictures, ["pixels"]).rows
    assert same.images_per_second == before.images_per_second  # stored
    assert (after.folder, after.points) == (before.folder, before.points)
    assert after.images_per_second != before.images_per_second  # measured
    with cbir.open(after.collection) as searcher:
        assert searcher.search(changed, 1)[0].distance == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("how", ["ingested", "upserted", "labelled"])
def test_a_collection_that_was_changed_is_measured_again_though_source_and_number_are_the_same(
    home: Path, pictures: Path, how: str
):
    (first,) = cbir.compare(pictures, ["pixels"]).rows
    if how == "ingested":
        for number, path in enumerate(sorted(pictures.rglob("*.png")), 50):
            picture(number).save(path)
        cbir.ingest(pictures, collection=first.collection)
    else:
        with cbir.open(first.collection) as searcher:
            (page,) = searcher.collection.scroll()
            if how == "upserted":
                page.vectors[:] = page.vectors[::-1]
            else:
                for payload, label in zip(page.payloads, "aabbab", strict=True):
                    payload["label"] = label
            searcher.collection.upsert(page.ids, page.vectors, page.payloads)
    done = cbir.compare(pictures, ["pixels"])
    (again,) = done.rows
    assert again.scores == cbir.evaluate(first.collection).scores
    assert again.images_per_second != first.images_per_second  # measured
    assert cbir.compare(pictures, ["pixels"]) == done


def test_embedded_and_served_collections_of_one_name_share_no_row(
    home: Path, pictures: Path, qdrant: str, served: ServedEngine
):
    (embedded,) = cbir.compare(pictures, ["pixels"]).rows
    (on_server,) = cbir.compare(pictures, ["pixels"], qdrant_url=qdrant).rows
    assert (on_server.collection, on_server.scores) == (embedded.collection, embedded.scores)
    assert on_server.folder != embedded.folder
    assert cbir.compare(pictures, ["pixels"]).rows == [embedded]
    assert cbir.compare(pictures, ["pixels"], qdrant_url=qdrant).rows == [on_server]


def test_both_numbers_of_a_class_of_one_picture_are_in_the_table(home: Path, pictures: Path):
    (pictures / "alone").mkdir()
    picture(77).save(pictures / "alone" / "0.png")
    done = cbir.compare(pictures, ["pixels", "color-histogram"])
    for row in done.rows:
        assert (row.scores.queries, row.scores.without_relevant, row.scores.answerable.queries) == (7, 1, 6)
    headings, rows = done.cells(answerable=True)
    assert [row[headings.index("mAP")] for row in rows] == [f"{row.scores.answerable.map:.3f}" for row in done.rows]
    assert "\nOf the 6 queries of 7 that can be answered:\n\n| encoder |" in done.table.read_text()
    printed = run("compare", "--source", pictures, "--encoder", "pixels").stdout
    assert "the 6 queries of 7 that can be answered" in printed
    assert "1 query of 7 cannot be answered" in printed
    assert cbir.compare(pictures, ["pixels", "color-histogram"]) == done  # as it is read back


def test_other_queries_limits_and_seeds_are_other_rows(home: Path):
    (first,) = cbir.compare("digits", ["pixels"], limit=100, queries=10, training_seed=1).rows
    (other,) = cbir.compare("digits", ["pixels"], limit=100, queries=10, seed=1).rows
    (fewer,) = cbir.compare("digits", ["pixels"], limit=50, queries=10).rows
    assert (first.collection, fewer.points) == (other.collection, 50)
    assert first.scores != other.scores


def test_a_failing_encoder_is_reported_and_does_not_stop_the_others(home: Path, pictures: Path, labelled: None):
    done = cbir.compare(pictures, ["labelled", "pixels"], queries=3)
    assert [row.encoder for row in done.rows] == ["pixels"]
    assert done.failed["labelled"].startswith("it is trained with labels, and would be tested on its own")
    table = done.markdown()
    assert "| labelled |  |" in table
    assert "`labelled` failed: it is trained with labels" in table
    assert done.table.read_text() == table
    with pytest.raises(cbir.CbirError, match="could be compared: labelled: it is trained with labels, and"):
        cbir.compare(pictures, ["labelled"])


def test_without_names_all_suitable_encoders_are_compared(home: Path, pictures: Path, held_out: Path, labelled: None):
    """An encoder that learns from labels is asked about images that it did not learn from, or not at all."""
    with pytest.warns(cbir.CbirWarning, match="1 of 21 queries"):
        assert [row.encoder for row in cbir.compare(held_out).rows] == ["labelled", "pixels"]
    alone = cbir.compare(pictures)
    assert [row.encoder for row in alone.rows] == ["pixels"]
    assert alone.title == "pictures: 6 images, 6 queries, each left out of its own ranking"


def test_a_collection_of_another_encoder_is_refused_with_advice(home: Path, pictures: Path, bundle: Path):
    cbir.ingest(pictures, collection="pictures-pixels", model=bundle)
    with pytest.raises(cbir.CbirError, match=r"cbir ingest .*pictures --collection pictures-pixels .*--retrain"):
        cbir.compare(pictures, ["pixels"])


def test_a_source_that_grew_is_measured_again(home: Path, pictures: Path):
    assert cbir.compare(pictures, ["pixels", "pca:values=2"]).rows[0].points == 6
    picture(99).save(pictures / "b" / "99.png")
    grown = cbir.compare(pictures, ["pixels", "pca:values=2"])
    assert grown.rows[0].points == 7
    again = r"learned from 6 images, where there are 7 now.*--collection pictures-pca-values-2 --encoder pca:values=2 "
    with pytest.raises(cbir.CbirError, match=again):
        cbir.compare(pictures, ["pca:values=2"])


def test_another_folder_of_the_name_is_refused_before_anything_is_stored(home: Path, pictures: Path, tmp_path: Path):
    (row,) = cbir.compare(pictures, ["pixels"]).rows
    pictures.rename(tmp_path / "unmounted")
    other = tmp_path / "other" / "pictures"
    for number in range(4):
        (other / f"class {number % 2}").mkdir(parents=True, exist_ok=True)
        picture(50 + number).save(other / f"class {number % 2}" / f"{number}.png")
    with pytest.raises(cbir.CbirError, match=rf"'{row.collection}' holds {pictures}, not {other} alone"):
        cbir.compare(other, ["pixels"])
    with cbir.open(row.collection) as searcher:
        assert (searcher.info().points, searcher.metadata.roots) == (6, {"pictures": str(pictures)})


def test_rows_of_a_folder_that_moved_are_reused(home: Path, pictures: Path, tmp_path: Path):
    (row,) = cbir.compare(pictures, ["pixels"]).rows
    (tmp_path / "disk").mkdir()
    assert cbir.compare(pictures.rename(tmp_path / "disk" / "pictures"), ["pixels"]).rows == [row]


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"smooth": 2}, "filled with --smooth 2"), ({"size": 48}, "at 48x48, where 28x28 suits them")],
)
def test_a_collection_filled_with_other_options_is_no_row(
    home: Path, pictures: Path, options: dict[str, int], reason: str
):
    cbir.ingest(pictures, collection="pictures-pixels", encoder="pixels", **options)
    with pytest.raises(cbir.CbirError, match=reason):
        cbir.compare(pictures, ["pixels"])


@pytest.mark.parametrize("measured", [True, False])
def test_a_collection_that_saw_other_pixels_is_no_row(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, measured: bool
):
    with monkeypatch.context() as earlier:
        earlier.setattr(pixels, "preprocessing", lambda suited: replace(suited, trim=not suited.trim), raising=False)
        if measured:  # then there is a row, for which no picture is opened
            cbir.compare(pictures, ["pixels"])
        else:
            cbir.ingest(pictures, collection="pictures-pixels", encoder="pixels")
    with pytest.raises(cbir.CbirError, match=r"another way than suits them now \(trim\); rebuild it: cbir ingest"):
        cbir.compare(pictures, ["pixels"])


def test_queries_whose_labels_were_learned_are_warned_of(home: Path, pictures: Path, labelled: None):
    cbir.ingest(pictures, encoder="labelled")
    with pytest.warns(cbir.CbirWarning, match="'labelled' learned the labels of the queries"):
        cbir.evaluate("pictures", depths=[5])


def test_a_recipe_stored_before_an_option_existed_has_its_default(home: Path):
    (first,) = cbir.compare("digits", ["pca:values=4"], limit=100, queries=10).rows
    (file,) = (home / "models").glob("*/model.json")
    document = json.loads(file.read_text())
    del document["recipe"]["seed"]
    file.write_text(json.dumps(document))
    assert cbir.compare("digits", ["pca:values=4"], limit=100, queries=10).rows == [first]


def test_stored_pictures_that_became_queries_are_left_out_and_not_compared(home: Path, held_out: Path):
    with pytest.warns(cbir.CbirWarning, match="1 of 21 queries"):
        (row,) = cbir.compare(held_out, ["pixels"]).rows
    moved = next((held_out / "database" / "digit 2").iterdir())
    moved.rename(held_out / "queries" / "digit 1" / "moved.png")
    with pytest.warns(cbir.CbirWarning, match="2 of 22 queries are in the database too: left out"):
        assert cbir.evaluate(row.collection).scores.queries == 20
    with pytest.raises(cbir.CbirError, match=r"holds 1 picture that .* no longer has.*--retrain"):
        cbir.compare(held_out, ["pixels"])


def test_invalid_arguments_are_refused_before_anything_is_stored(home: Path, pictures: Path):
    for wrong, message in (
        ({"encoders": ["nothing"]}, "unknown encoder 'nothing'"),
        ({"encoders": ["pixels"], "options": {"nothing": 1}}, "has an option 'nothing'"),
        ({"limit": 0}, "at least 1"),
    ):
        with pytest.raises(cbir.CbirError, match=message):
            cbir.compare("digits", **wrong)
    with pytest.raises(cbir.UnlabelledError, match=r"no labels that tell pictures apart.*cbir\.compare_copies"):
        cbir.compare(pictures / "b", ["pixels"])
    assert not home.exists()


def test_held_out_queries_of_a_folder_are_evaluated_with_unless_they_are_stored(home: Path, held_out: Path):
    with pytest.warns(cbir.CbirWarning, match="1 of 21 queries are in the database too: left out"):
        (row,) = cbir.compare(held_out, ["pixels"]).rows
    assert (row.points, row.scores.queries) == (100, 20)
    with pytest.warns(cbir.CbirWarning, match="1 of 21 queries"):
        evaluation = cbir.evaluate(row.collection)
    assert not evaluation.as_json()["leave_one_out"]
    assert evaluation.scores == row.scores
    held_out.rename(held_out.with_name("gone"))
    with warnings.catch_warnings():
        assert cbir.evaluate(row.collection).as_json()["leave_one_out"]


def test_the_command_prints_one_table_and_its_document(home: Path):
    arguments = ["compare", "--source", "digits", "--encoder", "pixels", "--limit", "100", "--queries", "10"]
    printed = run(*arguments).stdout
    assert all(heading in printed for heading in ("LRAP", "@10", "@all", "mAP", "images/s"))
    assert "@1,000" not in printed
    document = json.loads(run(*arguments, "--json").stdout)
    assert document["failed"] == {}
    (row,) = document["rows"]
    assert f"{row['scores']['map']:.3f}" in printed
    assert row["bytes_a_point"] == 4 * row["values"]
    with Image.open(document["lineup"]) as lineup:
        assert lineup.width > 10 * 132
