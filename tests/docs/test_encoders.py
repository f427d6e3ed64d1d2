"""The tables of encoders that people read are those that were measured."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/encoders.md")
SHOWN = [
    pytest.param(name, table, id=f"{page}: {name}")
    for page in PAGES
    for name, table in re.findall(
        r"<!-- table: (\S+) -->\n(.*?)<!-- end -->", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
]


@pytest.mark.parametrize(("name", "table"), SHOWN)
def test_a_table_is_the_one_that_make_figures_wrote(name: str, table: str):
    assert table == (ROOT / "docs" / "figures" / name / "table.md").read_text(encoding="utf-8")


def test_every_table_is_shown_and_every_picture_is_there():
    made = {path.parent.name for path in (ROOT / "docs" / "figures").glob("*/table.md")}
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    assert made == set(re.findall(r"<!-- table: (\S+) -->", page))
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)
    assert pictures
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures)
