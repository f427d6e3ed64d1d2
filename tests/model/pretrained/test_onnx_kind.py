"""Networks in files are rows of a comparison, each its own."""

import json
from pathlib import Path

import pytest
from PIL import Image

import cbir
from cbir.model.pretrained.onnx_kind import kind_of_file
from tests.commands import run
from tests.model.pretrained.graphs import mean_colour, tokens


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    folder = tmp_path / "labelled"
    for name in ("red", "green", "blue"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (20 + number, 30), name).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two networks whose input is the same, and the first again with other values."""
    made = [tmp_path / name for name in ("mean.onnx", "tokens.ONNX", "shifted.onnx")]
    for path, model in zip(made, (mean_colour(), tokens(), mean_colour()), strict=True):
        path.write_bytes(model.SerializeToString())
        shift = 0.5 if path.stem == "shifted" else 0
        path.with_suffix(".json").write_text(json.dumps({"size": [20, 24], "mean": shift, "deviation": 1}))
    return made


def test_networks_in_files_are_compared_with_others(home: Path, labelled: Path, files: list[Path]):
    names = [*map(str, files), "color-histogram"]
    done = cbir.compare(labelled, names)
    assert [row.encoder for row in done.rows] == names
    assert not done.failed
    assert [row.values for row in done.rows][:3] == [3, 2, 3]
    assert len({row.fingerprint for row in done.rows}) == 4
    assert done.rows[0].scores.map == 1
    assert [row.folder for row in cbir.compare(labelled, names[::-1]).rows] == [row.folder for row in done.rows][::-1]
    document = json.loads(run("compare", "--source", labelled, "--encoder", files[0], "--json").stdout)
    assert document["rows"][0]["encoder"] == str(files[0])


def test_another_collection_of_its_name_is_refused(home: Path, labelled: Path, files: list[Path]):
    _, recipe = kind_of_file(files[0])
    cbir.ingest(labelled, collection=f"labelled-onnx-file-network-{recipe.network}", encoder="pixels")
    with pytest.raises(cbir.CbirError, match="was filled by another encoder or recipe; remove it"):
        cbir.compare(labelled, [str(files[0])])
    cbir.ingest(labelled, collection="by name", model=files[0])
    with cbir.open("by name") as searcher:
        assert searcher.bundle.metadata["recipe"] == {"network": recipe.network}
