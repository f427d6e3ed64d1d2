"""Queries for a collection that are held out, by its sources or by a folder that somebody names.

In: a collection, and where its queries are. Out: those whose file is not stored too (`cbir.evaluate.unstored`), and
warnings where scores will be too high all the same.
"""

import warnings
from collections.abc import Iterable

from cbir.collection.interface import Collection
from cbir.collection.metadata import Metadata
from cbir.collection.place import COPIES, places_of
from cbir.core.errors import CbirWarning
from cbir.core.settings import Settings
from cbir.core.uris import shown
from cbir.core.words import counted
from cbir.evaluate.run import Run
from cbir.evaluate.unstored import unstored
from cbir.ingest.roots import open_known
from cbir.ingest.sources.catalogue import NAMES, open_source
from cbir.ingest.sources.choice import Choice
from cbir.ingest.sources.source import Item, Source, SourceError
from cbir.model.registry import encoders
from cbir.search.searcher import Searcher


def held_out_queries(searcher: Searcher, settings: Settings, queries_from: str | None = None) -> list[Item]:
    """Return the images to ask a collection for, without those that it holds too.

    Parameters
    ----------
    searcher : Searcher
    settings : Settings
    queries_from : str, optional
        Where they are, as `labelled_queries` takes it; by default what the collection's sources hold back.

    Returns
    -------
    list of Item
        Empty if the sources hold nothing back.

    Raises
    ------
    SourceError
        Nothing there, no labels, or all of it is stored too.
    """
    named = None if queries_from is None else labelled_queries(queries_from, settings)
    sources = _sources(searcher.metadata, settings)
    held_back = [query for source in sources for query in source.queries()] if named is None else named
    return unstored(held_back, searcher.collection)


def labelled_queries(name: str, settings: Settings) -> list[Item]:
    """Return the images of a folder, archive or dataset that have labels.

    Parameters
    ----------
    name : str
        As `open_source` takes it. The folder that a picture is in is its label. What it holds back to evaluate with, if
        anything, are the queries; else all of it.
    settings : Settings

    Raises
    ------
    SourceError
        No such folder, no picture in it, or none in a folder of its own.
    """
    source = open_source(name, settings.data, settings.cache, choice=Choice(labels="folder"))
    found = source.queries() or list(source.items())
    queries = [item for item in found if item.label is not None]
    if not queries:
        raise SourceError(f"no picture of {shown(str(source))} has a label: put them into one folder per class")
    if unlabelled := len(found) - len(queries):
        of_all = f"{unlabelled:,} of {counted(len(found), 'picture')} of {shown(str(source))}"
        message = f"left out of the queries, as in no folder: {of_all}"
        warnings.warn(message, CbirWarning, stacklevel=2)
    return queries


def warn_of_leakage(searcher: Searcher, run: Run) -> None:
    """Warn where stored images are a run's queries and something makes them easier to find than new ones."""
    if not run.about.get("leave_one_out"):
        return
    if searcher.bundle.kind in [kind.name for kind in encoders() if kind.learns_from == "labels"]:
        reason = f"encoder '{searcher.bundle.kind}' learned the labels of the queries"
    elif searcher.metadata.smooth:
        reason = "the stored features are averages with neighbours, the queries among them"
    else:
        return
    message = f"{reason}: scores are too high; hold some images out, in folders database and queries"
    warnings.warn(message, CbirWarning, stacklevel=3)


def left_behind(collection: Collection, items: Iterable[Item]) -> int:
    """Count the points whose picture the sources no longer have."""
    present = {item.place for item in items}
    pages = collection.scroll(vectors=False, fields=("source", "uri", COPIES))
    return sum(
        all((place.source, place.uri) not in present for place in places_of(payload))
        for page in pages
        for payload in page.payloads
    )


def _sources(metadata: Metadata, settings: Settings) -> list[Source]:
    """Open a collection's sources; a folder that no longer exists holds nothing back."""
    opened = []
    for name in metadata.sources:
        try:
            opened.append(open_known(name, metadata, settings.data, settings.cache))
        except SourceError:
            if name in NAMES and name not in metadata.roots:
                raise
    return opened
