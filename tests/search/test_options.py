"""The options of a search and of an evaluation, as one object and by name."""

from pathlib import Path
from typing import cast, get_type_hints

import pytest

import cbir
from cbir.collection.filter import AllOf, Among, Like, Not
from cbir.collection.interface import Collection
from cbir.core.options import OptionError
from cbir.evaluate.options import EvaluationKeywords, EvaluationOptions
from cbir.search.options import SearchKeywords, SearchOptions


def test_options_come_as_one_object_or_by_name(digits: Path):
    with cbir.open("digits") as searcher:
        options = SearchOptions(k=3, labels=[3, 8], expand=4)
        found = searcher.search("digits:queries/4", options=options)
        assert found == searcher.search("digits:queries/4", 3, labels=[3, 8], expand=4)
        assert searcher.search("digits:queries/4", 2, options=options) == found[:2]
        assert searcher.search("digits:queries/4", options=options, labels=None, where={"label": [3, 8]}) == found


def test_labels_are_not_filtered_by_twice():
    with pytest.raises(OptionError, match=r"labels and where both filter by 'label': give only one"):
        SearchOptions(labels=[3], where={"label": [3, 8]})
    nowhere = cast("Collection", None)  # only text needs one
    both = SearchOptions(labels=[3], where={"source": ["digits"]}).filters(nowhere)
    assert both == AllOf((Among("source", ("digits",)), Among("label", (3,))))
    assert SearchOptions(where=Like("folder", "a/**"), labels=["cat"]).filters(nowhere) == AllOf(
        (Like("folder", "a/**"), Among("label", ("cat",)))
    )
    with pytest.raises(OptionError, match="give only one"):
        SearchOptions(labels=[3], where=Not(Among("label", (3,))))


def test_keywords_are_the_options():
    for keywords, options in ((SearchKeywords, SearchOptions), (EvaluationKeywords, EvaluationOptions)):
        assert {**get_type_hints(keywords), "k": int} == {**get_type_hints(options), "k": int}
