"""A folder of damaged, odd and hostile files: each is stored or reported, and a stored one finds itself."""

from pathlib import Path

import pytest

import cbir
from tests.fuzz.damage import damaged
from tests.model.made import every_kind

FILES = every_kind()
DAMAGED = 400


@pytest.fixture
def wild(tmp_path: Path) -> Path:
    """Every kind of picture, and many that are damaged."""
    folder = tmp_path / "wild"
    (folder / "damaged").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    for seed in range(DAMAGED):
        name, content = damaged(seed, FILES)
        (folder / "damaged" / f"{seed:03} {name}").write_bytes(content)
    return folder


def test_every_file_is_stored_or_reported_and_the_second_run_finds_it_so(home: Path, wild: Path):
    report = cbir.ingest(wild, encoder="color-histogram")
    assert report.found == len(FILES) + DAMAGED
    assert (
        report.ingested + report.copies + report.skipped + sum(left.count for left in report.left_out) == report.found
    )
    assert report.ingested + report.copies >= len(FILES)
    again = cbir.ingest(wild, encoder="color-histogram")
    assert (again.unchanged, again.skipped) == (report.ingested + report.copies, report.skipped)
    assert again.ingested == 0


def test_what_is_intact_finds_itself(home: Path, wild: Path):
    cbir.ingest(wild, encoder="pixels", limit=len(FILES) + DAMAGED)
    with cbir.open("wild") as searcher:
        for name in sorted(FILES)[::9]:
            assert searcher.search(wild / name, 1)[0].distance < 1e-5
