"""Names that are not UTF-8 in documents: JSON spells them, and no command fails because of them."""

import json
import os
from pathlib import Path

from tests.commands import run
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
