"""The table of a comparison, as people read it."""

from pathlib import Path

import numpy as np

from cbir.evaluate.compare.row import Row
from cbir.evaluate.compare.table import cells, markdown
from cbir.evaluate.scores import Scores, score
from tests.evaluate.test_scores import make_run


def row(encoder: str, relevant: list[list[bool]], depths: list[int], **costs: object) -> Row[Scores]:
    measured = {"points": 20, "values": 1234, "train_seconds": None, "images_per_second": 1234.4, **costs}
    scores = score(make_run(np.array(relevant)), depths)
    return Row(encoder, "c", "0f", {}, scores=scores, folder=Path(), **measured)  # type: ignore[arg-type]


def test_scores_and_costs_of_each_encoder_and_why_one_has_none():
    first, second = [True, False] * 10, [False, True] * 10
    rows = [
        row("a|b", [first], [5, 10, 20]),
        row("second", [second], [5, 10, 20], values=8, train_seconds=1234.56, images_per_second=5.4),
    ]
    assert markdown(rows, {"third": "no | such file"}) == (
        "| encoder | LRAP@10 | LRAP@all | mAP | precision@1 | precision@10 | values | bytes a point | train seconds "
        "| images/s encoded |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        r"| a\|b | 0.679 | 0.607 | 0.607 | 1.000 | 0.500 | 1,234 | 4,936 |  | 1,234 |" + "\n"
        "| second | 0.500 | 0.500 | 0.500 | 0.000 | 0.500 | 8 | 32 | 1,234.6 | 5 |\n"
        "| third |  |  |  |  |  |  |  |  |  |\n"
        "\n`third` failed: no | such file\n"
    )


def test_queries_that_can_be_answered_have_a_table_without_costs_and_failures():
    rows = [row("one", [[False, True, False], [False, False, False]], [3])]
    headings, filled = cells(rows, {"failed": "why"}, answerable=True)
    assert headings == ["encoder", "LRAP\n@all", "mAP", "precision\n@1", "precision\n@10"]
    assert filled == [["one", "0.500", "0.500", "0.000", "0.333"]]
    table = markdown(rows, {"failed": "why"})
    assert "| one | 0.750 | 0.250 | 0.000 | 0.167 | 1,234 |" in table
    assert table.endswith(
        "\nOf the 1 query of 2 that can be answered:\n\n"
        "| encoder | LRAP@all | mAP | precision@1 | precision@10 |\n| --- | --- | --- | --- | --- |\n"
        "| one | 0.500 | 0.500 | 0.000 | 0.333 |\n"
        "\n`failed` failed: why\n"
    )


def test_depths_are_those_that_all_rankings_reach():
    some, more = [[True] * 100 + [False]], [[True] * 101 + [False]]
    headings, filled = cells([row("one", some, [10, 100, 101]), row("two", more, [10, 100, 102])], {})
    assert headings[:4] == ["encoder", "LRAP\n@10", "LRAP\n@100", "LRAP\n@all"]
    assert [line[0] for line in filled] == ["one", "two"]
    headings, _ = cells([row("one", [[True] * 100], [10, 100]), row("two", more, [10, 100, 102])], {})
    assert headings[:3] == ["encoder", "LRAP\n@10", "LRAP\n@all"]
