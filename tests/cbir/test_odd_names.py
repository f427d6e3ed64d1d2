"""Odd names: of files, not UTF-8, which JSON spells; of collections, in any script, in any case, for any command."""

import json
import os
import unicodedata
from pathlib import Path

import pytest

import cbir
from tests.commands import failure, run
from tests.conftest import picture


def test_documents_with_names_that_are_no_text(home: Path, tmp_path: Path):
    folder = tmp_path / "odd"
    folder.mkdir()
    for number in range(2):
        picture(number).save(folder / f"{number}\udce9.png")
    copy = folder / "copy\udce9.png"
    copy.write_bytes((folder / "0\udce9.png").read_bytes())
    run("ingest", folder, "--encoder", "pixels", "--json")
    (query,) = json.loads(run("search", copy, "-k", "1", "--json").stdout)["queries"]
    assert os.fsdecode(query["image"]) == str(copy)
    assert query["hits"][0]["path"] in {str(copy), str(folder / "0\udce9.png")}
    assert json.loads(run("duplicates", "--json").stdout)["spare"]["files"] == 1
    assert json.loads(run("embed", copy).stdout)["image"] == str(copy)


@pytest.mark.parametrize("name", ["हिन्दी", "ภาพถ่าย", "தமிழ்", "cafe\u0301"])
def test_a_folder_in_any_script_keeps_its_name_from_ingest_to_restore(
    home: Path, pictures: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    kept = unicodedata.normalize("NFC", name)
    folder = pictures.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    report = json.loads(run("ingest", folder, "--encoder", "pixels", "--json").stdout)
    assert report["collection"] == kept
    assert [path.name for path in (home / "collections").iterdir()] == [kept]
    run("snapshot", name)
    run("remove", kept, "--yes")
    assert json.loads(run("restore", f"{kept}.cbir.zip", "-c", name, "--json").stdout)["collection"] == kept
    assert json.loads(run("info", "--json").stdout)["collections"][0]["name"] == kept
    assert not cbir.prune().unused


def test_a_collection_named_in_another_case_is_the_same_to_every_command(home: Path, pictures: Path):
    run("ingest", pictures, "-c", "Holidays", "--encoder", "pixels")
    again = json.loads(run("ingest", pictures, "-c", "HOLIDAYS", "--json").stdout)
    assert (again["collection"], again["unchanged"], again["ingested"]) == ("Holidays", 6, 0)
    found = run("search", pictures / "b" / "0.png", "-c", "holidays", "-k", "1", "--json")
    assert json.loads(found.stdout)["queries"][0]["hits"][0]["distance"] < 1e-3
    run("evaluate", "-c", "hOLIDAYS", "--queries", "3")
    assert not cbir.prune().unused  # its run, its report and its model are used
    assert {path.name.split("-2")[0] for path in (home / "runs").iterdir()} == {"Holidays"}
    run("ingest", pictures, "-c", "holidays", "--retrain", "--encoder", "hog")
    assert [path.name for path in (home / "collections").iterdir()] == ["Holidays"]
    assert "cannot name a collection" in failure("ingest", pictures, "-c", "nul")
    run("remove", "-c", "holidays", "--yes")
    assert not cbir.overview().collections


def test_a_home_and_a_folder_whose_names_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home, folder = tmp_path / "home\udce9", tmp_path / "odd\udce9|"
    monkeypatch.setenv("CBIR_HOME", str(home))
    for number in range(6):
        (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / str(number % 2) / f"{number}.png")
    run("ingest", folder, "-c", "odd", "--encoder", "pixels")
    document = json.loads(run("evaluate", "--copies", "--json").stdout)
    scores = Path(document["run"]).with_name("scores.json")
    assert home in scores.parents
    assert json.loads(scores.read_bytes())["run"] == document["run"]
    run("evaluate", "--distort", "mirror")
    done = json.loads(run("compare", "--source", folder, "--encoder", "pixels", "--json").stdout)
    assert done["source"] == str(folder)
    assert Path(done["table"]).read_text().startswith("| encoder |")
    assert str(home) == json.loads(run("info", "--json").stdout)["home"]
    saved = tmp_path / "saved\udce9.zip"
    assert json.loads(run("snapshot", "odd", "--save", saved, "--json").stdout)["path"] == str(saved)
    run("restore", saved, "-c", "again")
    assert json.loads(run("remove", "again", "--yes", "--json").stdout)["removed"]
