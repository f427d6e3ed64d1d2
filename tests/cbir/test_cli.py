"""What commands print: documents for programs, tables and messages for people."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cbir.collection.embedded.engine import EmbeddedEngine
from tests.commands import Finished, failure, run
from tests.conftest import picture


def test_ingest_document(home: Path, pictures: Path, bundle: Path):
    (pictures / "b" / "bad.png").write_text("no picture")
    done = run("ingest", pictures, "--model", bundle, "--json")
    document = json.loads(done.stdout)
    assert {k: document[k] for k in ("collection", "points", "ingested", "skipped")} == {
        "collection": "pictures",
        "points": 6,
        "ingested": 6,
        "skipped": 1,
    }
    assert document["model"].keys() == {"path", "encoder", "trained", "fingerprint", "usual_for", "notes"}
    assert document["model"]["trained"] is False
    assert document["seconds"].keys() == {"train", "compare", "encode", "upsert", "index"}
    assert document["unreadable"][0]["uri"].endswith("bad.png")
    assert "skipped: " in done.stderr


def counted(done: Finished) -> dict[str, int]:
    """Return the table that an ingest prints."""
    rows = [re.split(r" *[┃│] *", line)[1:-1] for line in done.stdout.splitlines() if line[:1] in ("┃", "│")]
    names, counts = rows
    return {name: int(count.replace(",", "")) for name, count in zip(names, counts, strict=True)}


def test_ingest_for_people_counts_what_was_done(home: Path, pictures: Path, bundle: Path):
    assert counted(run("ingest", pictures, "--model", bundle)) == {
        "found": 6,
        "ingested": 6,
        "unchanged": 0,
        "skipped": 0,
    }
    assert counted(run("ingest", pictures)) == {"found": 6, "ingested": 0, "unchanged": 6, "skipped": 0}
    touched = next(pictures.rglob("*.png"))
    os.utime(touched, ns=(0, 0))
    again = counted(run("ingest", pictures))
    assert again == {"found": 6, "ingested": 0, "unchanged": 5, "updated": 1, "skipped": 0}


def test_search_document_for_several_images(digits: Path):
    images = ["digits:queries/0", "digits:queries/1"]
    document = json.loads(run("search", *images, "-k", "3", "--json").stdout)
    assert document["collection"] == "digits"
    assert [query["image"] for query in document["queries"]] == images
    hits = document["queries"][0]["hits"]
    assert [hit["distance"] for hit in hits] == sorted(hit["distance"] for hit in hits)
    assert hits[0].keys() == {"id", "distance", "label", "uri", "path", "copies", "gone", "payload"}
    assert hits[0]["path"] is None
    assert isinstance(hits[0]["label"], int)


def test_a_query_that_cannot_be_read_does_not_keep_others_from_being_searched(digits: Path, tmp_path: Path):
    for name in ("bad.png", "worse.png"):
        (tmp_path / name).write_text("no picture")
    picture(1).save(tmp_path / "good.png")
    bad, worse, good = (tmp_path / name for name in ("bad.png", "worse.png", "good.png"))
    done = run("search", bad, good, "-k", 1, "--json", code=1)
    (query,) = json.loads(done.stdout)["queries"]
    assert (query["image"], len(query["hits"])) == (str(good), 1)
    assert f"cbir: skipped: {bad} is not a picture" in done.stderr
    done = run("search", good, good, "-", bad, "+", worse, good, "-k", 1, "--json", code=1)
    assert [query["image"] for query in json.loads(done.stdout)["queries"]] == [str(good), str(good)]
    assert done.stderr.count("skipped: ") == 1
    assert f"{bad} is not a picture" in failure("search", bad, worse)
    assert f"{bad} is not a picture" in failure("search", bad)


def test_search_for_people_says_which_collection_and_draws_a_strip(digits: Path, tmp_path: Path):
    done = run("search", "digits:queries/0", "-k", "2", "--save", tmp_path / "strip.png")
    assert "digits:database/" in done.stdout
    assert "cbir: collection 'digits'" in done.stderr
    with Image.open(tmp_path / "strip.png") as strip:
        assert strip.width == 12 + 3 * 132


def test_a_hit_in_a_folder_says_where_its_picture_is(home: Path, pictures: Path, bundle: Path):
    run("ingest", pictures, "--model", bundle)
    image = pictures / "b" / "0.png"
    hit = json.loads(run("search", image, "-k", "1", "--json").stdout)["queries"][0]["hits"][0]
    assert (hit["uri"], hit["path"]) == ("b/0.png", str(image))
    assert str(image) in run("search", image, "-k", "1").stdout.splitlines()[-2]


def test_labels_with_unicode_and_spaces(home: Path, pictures: Path, bundle: Path):
    run("ingest", pictures, "--model", bundle)
    image = pictures / "b" / "0.png"
    document = json.loads(run("search", image, "--label", "münchen käse", "--json").stdout)
    assert {hit["label"] for hit in document["queries"][0]["hits"]} == {"münchen käse"}
    nothing = run("search", image, "--label", "none such", "--json")
    assert json.loads(nothing.stdout)["queries"][0]["hits"] == []
    assert "no image has label=none such; stored are: b, münchen käse" in nothing.stderr


def test_number_labels_filter_numbers(digits: Path):
    document = json.loads(run("search", "digits:queries/0", "--label", "4", "--json").stdout)
    assert {hit["label"] for hit in document["queries"][0]["hits"]} == {4}


def test_evaluate_document_and_scoring_again(digits: Path):
    document = json.loads(run("evaluate", "--queries", "30", "--depth", "10", "--depth", "100", "--json").stdout)
    assert {k: document[k] for k in ("collection", "database", "queries")} == {
        "collection": "digits",
        "database": 1500,
        "queries": 30,
    }
    assert document["lrap"].keys() == document["map_at"].keys() == {"10", "100"}
    assert document["precision_at"].keys() == document["recall_at"].keys() == {"1", "10", "100"}
    assert 0 < document["map"] < document["lrap"]["10"] <= 1
    assert document["ann_recall_at_10"] == 1
    with Image.open(document["curve"]) as curve:
        assert curve.width > 500
    again = json.loads(run("evaluate", "--from-run", document["run"], "--depth", "10", "--json").stdout)
    assert again["lrap"] == {"10": document["lrap"]["10"]}
    assert "LRAP" in run("evaluate", "--from-run", document["run"]).stdout


def test_evaluate_without_labels_searches_edited_copies(home: Path, pictures: Path):
    run("ingest", pictures / "b", "--encoder", "color-histogram")
    done = run("evaluate", "--json")
    document = json.loads(done.stdout)
    assert document.keys() == {"collection", "database", "copies"}
    copies = document["copies"]
    assert (copies["collection"], copies["database"], copies["pictures"]) == ("b", 3, 3)
    assert copies["rows"][0].keys() == {"edit", "distortion", "first", "among_ten"}
    assert copies["mean"]["first"] == pytest.approx(np.mean([row["first"] for row in copies["rows"]]))
    assert copies["worst"][0].keys() == {"edit", "original", "place", "first"}
    with Image.open(copies["misses"]) as misses:
        assert misses.height > 200
    assert json.loads(run("evaluate", "--from-run", copies["run"], "--json").stdout) == document
    printed = run("evaluate", "--queries", "2", "--seed", "1").stdout
    assert "edited copies of 2 of them" in printed
    assert "mirrored" in printed
    assert "no labels, so no LRAP" in printed
    assert "'among ten' says nothing" in printed
    stored = Path(copies["run"]).parent
    assert f"misses  {copies['misses']}" in run("evaluate", "--from-run", stored).stdout
    assert "leave out --depth" in failure("evaluate", "--from-run", stored, "--depth", "3")
    for given in (["--depth", "3"], ["--no-copies"], ["--distort", "blur", "--no-copies"]):
        assert "cbir evaluate --collection b" in failure("evaluate", *given)


def test_evaluate_with_labels_searches_edited_copies_too(home: Path, tmp_path: Path):
    for number in range(4):
        (tmp_path / "photos" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        picture(number, (90, 70)).save(tmp_path / "photos" / str(number % 2) / f"{number}.png")
    run("ingest", tmp_path / "photos", "--encoder", "pixels")
    document = json.loads(run("evaluate", "--json").stdout)
    assert (document["queries"], document["copies"]["pictures"], document["copies"]["database"]) == (4, 4, 4)
    printed = run("evaluate").stdout
    assert printed.index("LRAP") < printed.index("original first")
    assert "no labels" not in printed
    asked = ["evaluate", "--distort", "mirror", "--distort", "grey", "--json"]
    copies = json.loads(run(*asked, "--copies").stdout)["collections"][0]["copies"]
    assert [row["distortion"] for row in copies["rows"]] == ["mirror", "grey"]
    assert "kept" in json.loads(run(*asked).stdout)["collections"][0]["distorted"][0]
    done = run("evaluate", "--no-copies", "--json")
    assert (json.loads(done.stdout)["queries"], json.loads(done.stdout)["copies"]) == (4, None)
    assert "--copies" not in done.stderr


@pytest.mark.parametrize(
    "given",
    [["--copies"], ["--no-copies"], ["--queries", 5], ["--seed", 1], ["--expand", 2], ["--rerank"], ["-c", "b"]],
)
def test_a_stored_run_takes_no_options_of_a_search(home: Path, given: list[object]):
    said = failure("evaluate", "--from-run", "run", *given)
    assert said.endswith(f"leave it out, or {'--collection' if '-c' in given else given[0]}".replace("--no-", "--"))
    assert not home.exists()


def test_tiny_pictures_with_labels_are_edited_only_if_asked_for(home: Path, pictures: Path):
    run("ingest", pictures, "--encoder", "pixels")
    done = run("evaluate", "--json")
    assert json.loads(done.stdout)["copies"] is None
    assert "smaller than 64 pixels: --copies searches" in done.stderr
    assert json.loads(run("evaluate", "--copies", "--json").stdout)["copies"]["pictures"] == 6
    pictures.rename(pictures.with_name("moved"))
    done = run("evaluate", "--json")
    assert (json.loads(done.stdout)["queries"], json.loads(done.stdout)["copies"]) == (6, None)
    assert "no edited copies were searched for: none of the pictures" in done.stderr


def test_distortions_where_nothing_has_a_label(home: Path, pictures: Path):
    run("ingest", pictures, "--encoder", "pixels")
    for name in ("one", "two"):
        run("ingest", pictures / "b", "--encoder", "pixels", "-c", name)
    asked = ["-c", "one", "-c", "two", "--distort", "mirror", "--distort", "blur=0,0.1"]
    document = json.loads(run("evaluate", *asked, "--json").stdout)
    assert [each["collection"] for each in document["collections"]] == ["one", "two"]
    rows = document["collections"][1]["copies"]["rows"]
    assert [row["edit"] for row in rows] == ["mirror", "blur=0", "blur=0.1"]
    assert rows[1]["first"] == 1
    assert run("evaluate", *asked).stdout.count("original first") == 2
    assert "collections 'one', 'two' have no labels" in failure("evaluate", "-c", "pictures", *asked)


def test_evaluate_distorted_queries_of_several_collections(home: Path):
    for name in ("a", "b"):
        run("ingest", "--encoder", "pixels", "--limit", "100", "-c", name)
    both = ["-c", "a", "-c", "b", "--queries", "10"]
    document = json.loads(run("evaluate", *both, "--distort", "rotate=0,90", "--distort", "blur", "--json").stdout)
    assert [c["collection"] for c in document["collections"]] == ["a", "b"]
    first = document["collections"][0]
    assert first["distorted"][0].keys() == {
        *("distortion", "strength", "kept", "kept_map", "lrap_at_10", "map_at_10", "map", "answerable", "run"),
    }
    assert [(p["distortion"], p["strength"]) for p in first["distorted"][:2]] == [("rotate", 0), ("rotate", 90)]
    assert Path(first["distorted"][1]["run"]).parent.parent == Path(document["figure"]).parent
    table = run("evaluate", "-c", "a", "--queries", "10", "--distort", "rotate=90", "--distort", "mirror").stdout
    assert "rotate=90" in table
    assert "mirror" in table
    assert "mirror=" not in table
    assert "robustness.png" in table
    assert "cbir compare" in failure("evaluate", *both)
    assert "choose from rotate, scale" in failure("evaluate", *both, "--distort", "twist")
    runs = set((home / "runs").iterdir())
    assert "no collection 'c'" in failure("evaluate", "-c", "a", "-c", "c", "--distort", "blur")
    assert set((home / "runs").iterdir()) == runs
    assert "--depth" in failure("evaluate", *both, "--distort", "blur", "--depth", "5")


def test_embed_is_the_vector_that_is_searched_with(digits: Path):
    document = json.loads(run("embed", "digits:database/17").stdout)
    assert document.keys() == {"image", "collection", "fingerprint", "vector"}
    collection = EmbeddedEngine(digits / "collections").open("digits")
    hit = collection.search(np.array(document["vector"], np.float32), 1)[0]
    collection.close()
    assert (hit.uri, round(hit.distance, 4)) == ("digits:database/17", 0)


def test_denoise_draws_noisy_over_denoised(digits: Path, tmp_path: Path):
    document = json.loads(run("denoise", "--save", tmp_path / "d.png", "--count", "4", "--json").stdout)
    assert document["picture"] == str(tmp_path / "d.png")
    with Image.open(tmp_path / "d.png") as drawn:
        assert drawn.size == (12 + 4 * 132, 12 + 2 * 132)
        noisy, denoised = np.asarray(drawn.convert("L"))[[72, 72 + 132]]
    roughness = [np.abs(np.diff(row.astype(int))).mean() for row in (noisy, denoised)]
    assert roughness[1] < roughness[0] / 2


def test_info(digits: Path, home: Path):
    document = json.loads(run("info", "--json", CBIR_HOME=str(digits)).stdout)
    (collection,) = document["collections"]
    assert (collection["name"], collection["points"], document["default"]) == ("digits", 1500, "digits")
    assert Path(collection["path"]).is_dir()
    assert document["providers"] == ["CPUExecutionProvider"]
    assert document["cache"] in run("info", CBIR_HOME=str(digits)).stdout
    assert document["cache"].startswith(os.environ["XDG_CACHE_HOME"])
    assert [model["name"] for model in document["models"]] == ["digits"]
    assert "1,500" in run("info", CBIR_HOME=str(digits)).stdout
    assert "cbir ingest" in run("info", CBIR_HOME=str(home)).stdout


def test_absurd_numbers_are_no_crash(digits: Path):
    huge = "9" * 30
    document = json.loads(run("search", "digits:queries/0", "-k", huge, "--json").stdout)
    assert len(document["queries"][0]["hits"]) == 1500
    assert json.loads(run("search", "digits:queries/0", "--label", huge, "--json").stdout)["queries"][0]["hits"] == []


def test_denoise_passes_over_what_cannot_be_read(home: Path, pictures: Path, bundle: Path, tmp_path: Path):
    (pictures / "b" / "bad.png").write_text("no picture")
    run("ingest", pictures, "--model", bundle)
    run("denoise", "--save", tmp_path / "d.png")
    with Image.open(tmp_path / "d.png") as drawn:
        assert drawn.width == 12 + 6 * 132


def test_training_options_that_are_not_used_are_said(digits: Path, home: Path, pictures: Path, bundle: Path):
    done = run("ingest", pictures, "--model", bundle, "--encoder", "autoencoder:epochs=3,noise=0.1")
    assert "epochs, noise not used" in done.stderr
    assert "not used" not in run("ingest", pictures).stderr
    recipe = json.loads((bundle / "model.json").read_text())["recipe"]
    assert "not used" not in run("ingest", pictures, "--encoder", f"autoencoder:epochs={recipe['epochs']}").stderr


def test_without_a_name_the_collection_ingested_last_is_used(home: Path, pictures: Path, bundle: Path):
    run("ingest", pictures / "b", "--model", bundle)
    run("ingest", pictures, "--model", bundle)
    run("ingest", pictures / "b")
    assert json.loads(run("search", pictures / "b" / "0.png", "--json").stdout)["collection"] == "b"


def test_bad_queries(digits: Path, tmp_path: Path):
    (tmp_path / "text.png").write_text("no picture")
    assert "does not exist" in failure("search", tmp_path / "missing.png")
    assert "is a folder" in failure("search", tmp_path)
    assert "not a picture" in failure("search", tmp_path / "text.png")
    assert "no run" in failure("evaluate", "--from-run", tmp_path / "run.npz")


def test_unknown_collections_name_those_there_are(digits: Path, home: Path):
    done = run("search", "x.png", "-c", "nothing", code=1, CBIR_HOME=str(digits))
    assert "(collections: digits)" in done.stderr
    assert "cbir ingest" in run("search", "x.png", code=1, CBIR_HOME=str(home)).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "x.png", "-k", "0"],
        ["ingest", "--limit", "0"],
        ["evaluate", "--depth", "0"],
        ["search"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_exit_2(home: Path, arguments: list[str]):
    done = run(*arguments, code=2)
    assert "Traceback" not in done.stderr
    assert not home.exists()


def test_the_picture_of_a_changed_home_is_not_needed_to_search(home: Path, pictures: Path, bundle: Path):
    run("ingest", pictures, "--model", bundle)
    query = pictures.parent / "query.png"
    picture(5).save(query)
    pictures.rename(pictures.with_name("moved"))
    done = run("search", query, "--save", pictures.parent / "strip.png", "--json")
    assert len(json.loads(done.stdout)["queries"][0]["hits"]) == 6
    assert json.loads(run("evaluate", "--json").stdout)["queries"] == 6


def test_gains_are_options(digits: Path, home: Path, pictures: Path):
    gains = ("--expand", "5", "--rerank", "--json")
    found = [
        run("search", "digits:queries/4", *options, CBIR_HOME=str(digits)).stdout for options in (gains, gains[3:])
    ]
    assert len(json.loads(found[0])["queries"][0]["hits"]) == 10
    assert found[0] != found[1]
    document = json.loads(run("evaluate", "--queries", "20", *gains, CBIR_HOME=str(digits)).stdout)
    assert (document["expand"], document["rerank"], document["smooth"]) == (5, True, 0)
    run("ingest", pictures, "--encoder", "pixels", "--smooth", "2")
    assert "stored with --smooth 2, not 3" in failure("ingest", pictures, "--smooth", "3")
    assert json.loads(run("info", "--json").stdout)["collections"][0]["smooth"] == 2


def test_options_of_an_encoder_are_listed_and_checked(home: Path):
    document = json.loads(run("encoders", "contrastive", "--json").stdout)
    assert document.keys() == {
        "name",
        "default_for",
        "learns_from",
        "summary",
        "words",
        "download_bytes",
        "licence",
        "options",
    }
    options = {option["name"]: option for option in document["options"]}
    assert options["preset"]["choices"] == ["default", "quality"]
    assert "batch-size" in options
    assert (options["noise"]["type"], options["noise"]["default"], options["noise"]["least"]) == ("float", 0.5, 0)
    printed = run("encoders", "contrastive").stdout
    assert all(name in printed for name in options)
    assert "no options" in run("encoders", "pixels").stdout
    assert {encoder["name"] for encoder in json.loads(run("encoders", "--json").stdout)} >= {"contrastive", "pca"}
    assert "unknown encoder 'nothing'" in failure("encoders", "nothing")
    assert "epochs must be at least 1, not 0" in failure("ingest", "--encoder", "contrastive:epochs=0")
    assert "has no option 'bits' (its options: epochs" in failure("ingest", "--encoder", "contrastive:bits=1")
    assert not home.exists()


def test_an_encoder_that_learned_from_few_of_the_pictures_is_told(home: Path, pictures: Path):
    assert "learned from" not in run("ingest", pictures, "--encoder", "pca", "--limit", 2).stderr
    grown = run("ingest", pictures)
    assert "the encoder learned from 2 pictures, and there are 6 now" in grown.stderr
    assert "learned from" not in run("ingest", pictures, "--encoder", "pca", "--retrain").stderr


def test_conditions_paths_and_why_nothing_was_found(home: Path, pictures: Path, bundle: Path):
    run("ingest", pictures, "--model", bundle)
    image = pictures / "b" / "0.png"

    def hits(*options: object) -> list[str]:
        document = json.loads(run("search", image, "--json", *options).stdout)
        return [hit["uri"] for hit in document["queries"][0]["hits"]]

    assert set(hits("--where", "uri=b/**", "--where", "uri!=*/0.png")) == {"b/1.png", "b/2.png"}
    assert image.name not in run("search", image, "--not-itself", "--where", "uri=b/*", "--paths").stdout
    paths = run("search", image, image, "--where", "uri=b/**", "--sort", "uri", "--paths").stdout
    assert paths.splitlines() == [str(pictures / "b" / f"{n}.png") for n in range(3)]
    assert run("search", image, "-k", "1", "-0").stdout == f"{image}\0"
    for options, reason in (
        (["--where", "camera=x"], "no image in 'pictures' has the field camera"),
        (["--within", "48.85,2.35,10km"], "no image in 'pictures' has the field gps"),
        (["--where", "label=tench, fish"], "put in double quotes"),
        (["--where", "uri=b/**", "--where", "uri=b"], "no image in 'pictures' passes the filter"),
        (["--where", "folder=b/**", "--where", "format=png"], "no image has format=png; stored are: PNG"),
        (["--max-distance", "0", "--not-itself"], "is within 0; the nearest one is at a distance of"),
    ):
        nothing = run("search", image, *options, "--json")
        assert json.loads(nothing.stdout)["queries"][0]["hits"] == []
        assert reason in nothing.stderr
    for command in ("remove", "duplicates"):
        assert (
            "no image has format=png; stored are: PNG" in run(command, "-c", "pictures", "--where", "format=png").stderr
        )
    assert "did you mean 'label'" in failure("search", image, "--where", "lable=a")
    assert "as in 48.85,2.35,10km" in failure("search", image, "--within", "Paris")
    assert "give either --json, or --paths" in failure("search", image, "--json", "--paths")


def test_names_that_a_terminal_would_obey_are_shown_escaped_and_printed_as_they_are(
    home: Path, tmp_path: Path, bundle: Path
):
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = folder / "two  spaces\n\x1b[31mred.png"
    picture(0).save(odd)
    picture(1).save(folder / "plain.png")
    run("ingest", folder, "--model", bundle)
    shown = run("search", odd, "-k", "1")
    assert "\x1b" not in shown.stdout
    assert r"two  spaces\n\x1b[31mred.png" in shown.stdout
    assert run("search", odd, "-k", "1", "-0").stdout == f"{odd}\0"
    assert "two  spaces.jpg does not exist" in failure("search", "two  spaces.jpg")


def test_hits_whose_files_are_gone_are_marked_and_not_among_the_paths(home: Path, tmp_path: Path, bundle: Path):
    folder = tmp_path / "shrinking"
    folder.mkdir()
    for number, name in enumerate(("query", "gone", "copied")):
        picture(number).save(folder / f"{name}.png")
    picture(2).save(folder / "copy of it.png")
    run("ingest", folder, "--model", bundle)
    (folder / "gone.png").unlink()
    stored = next(hit for hit in _hits(folder / "query.png") if hit["copies"])
    Path(stored["path"]).unlink()
    (left,) = stored["copies"]

    found = run("search", folder / "query.png")
    assert "gone.png (gone)" in found.stdout
    assert "1 picture was found whose files are gone" in found.stderr
    assert "--prune" in found.stderr
    assert set(run("search", folder / "query.png", "--paths").stdout.splitlines()) == {
        str(folder / "query.png"),
        left,
    }
    assert {hit["path"]: hit["gone"] for hit in _hits(folder / "query.png")} == {
        str(folder / "query.png"): False,
        str(folder / "gone.png"): True,
        left: False,
    }
    # A folder that is not here, as on another machine, says nothing of its files.
    query = folder.rename(tmp_path / "elsewhere") / "query.png"
    assert len(run("search", query, "--paths").stdout.splitlines()) == 3
    assert not any(hit["gone"] for hit in _hits(query))


def _hits(query: Path) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = json.loads(run("search", query, "--json").stdout)["queries"][0]["hits"]
    return hits


def test_a_query_on_standard_input(home: Path, pictures: Path, bundle: Path):
    run("ingest", pictures, "--model", bundle)
    image = pictures / "b" / "0.png"
    document = json.loads(run("search", "-", "-k", "1", "--json", stdin=image.read_bytes()).stdout)
    (query,) = document["queries"]
    assert (query["image"], query["hits"][0]["path"]) == ("-", str(image))
