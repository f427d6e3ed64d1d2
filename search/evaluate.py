"""The article's protocol: search held-out queries, keep the run.

In: a searcher and query items with labels. Out: a `Run`. Where nothing was
held out (a folder of pictures), stored images are the queries, each left out
of its own ranking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from PIL import Image

from collection.interface import Label, checked_k
from model.image import ImageError
from model.progress import Progress, silent
from search.expansion import expand_among
from search.ranking import rank
from search.rerank import rerank_block
from search.run import Run, RunError, pack
from search.searcher import Searcher

#: Closest hits kept by id, and compared with what Qdrant serves.
_KEPT = 10
_BATCH = 256


class Query(Protocol):
    """A held-out image: where it is, its label, and how to open it."""

    @property
    def uri(self) -> str:
        """Where it is."""
        ...

    @property
    def label(self) -> Label | None:
        """What it shows."""
        ...

    @property
    def open(self) -> Callable[[], Image.Image]:
        """A function that opens it."""
        ...


@dataclass(frozen=True)
class _Database:
    ids: np.ndarray
    uris: list[str]
    labels: list[Label | None]
    features: np.ndarray


def evaluate(
    searcher: Searcher,
    held_out: Sequence[Query],
    *,
    queries: int = 1000,
    seed: int = 0,
    expand: int = 0,
    rerank: bool = False,
    progress: Progress = silent,
) -> Run:
    """Search random queries and rank the whole database for each.

    Parameters
    ----------
    searcher : Searcher
    held_out : sequence of Query
        Images outside the collection; if empty, stored images are left out one at a time.
    queries : int
        The most queries; drawn without replacement.
    seed : int
        Draws the queries.
    expand : int
        Average each query with so many nearest first, as a search does; 0: do not.
    rerank : bool
        Re-rank each query's first hits, as a search does.
    progress : Progress
        Stages `load`, `queries`, `rank`.

    Returns
    -------
    Run

    Raises
    ------
    RunError
        Nothing stored, no labels, or too few images.
    """
    if queries < 1:
        raise RunError(f"queries must be at least 1, not {queries}")
    database = _load(searcher, progress)
    if all(label is None for label in database.labels):
        raise RunError(
            f"collection '{searcher.name}' has no labels to evaluate with; "
            "put the pictures into one folder per class and ingest that folder"
        )
    generator = np.random.default_rng(seed)
    own_rows = None
    labelled: list[Query] = [item for item in held_out if item.label is not None]
    if labelled:
        chosen = [labelled[i] for i in generator.permutation(len(labelled))[:queries]]
        uris, labels, features = _embed(searcher, chosen, progress)
    else:
        if len(database.ids) < 2:
            raise RunError(f"collection '{searcher.name}' holds one image; leaving it out leaves nothing to rank")
        rows = np.array([row for row, label in enumerate(database.labels) if label is not None])
        own_rows = generator.permutation(rows)[:queries]
        uris = [database.uris[row] for row in own_rows]
        labels = [database.labels[row] for row in own_rows]
        features = database.features[own_rows]
    if expand:
        features = expand_among(database.features, features, checked_k(expand), own_rows)
    run = _search(searcher, database, uris, labels, features, own_rows, rerank, seed, progress)
    return replace(run, about={**run.about, "expand": expand, "rerank": rerank, "smooth": searcher.metadata.smooth})


def _load(searcher: Searcher, progress: Progress) -> _Database:
    """Scroll all features out: exact ranks come from them, not from searches of huge depth."""
    total = searcher.collection.count()
    if not total:
        raise RunError(f"collection '{searcher.name}' is empty; fill it with: cbir ingest")
    ids: list[str] = []
    uris: list[str] = []
    labels: list[Label | None] = []
    stacks = []
    for page in searcher.collection.scroll():
        ids += page.ids
        uris += [payload.get("uri", "") for payload in page.payloads]
        labels += [payload.get("label") for payload in page.payloads]
        stacks.append(page.vectors)
        progress("load", len(ids), total)
    return _Database(np.array(ids), uris, labels, np.concatenate(stacks))


def _embed(
    searcher: Searcher, chosen: Sequence[Query], progress: Progress
) -> tuple[list[str], list[Label | None], np.ndarray]:
    """Encode the queries; one that cannot be read is left out."""
    readable: list[Query] = []
    stacks = []
    for start in range(0, len(chosen), _BATCH):
        pixels = []
        for query in chosen[start : start + _BATCH]:
            try:
                pixels.append(searcher.pixels(query.open()))
                readable.append(query)
            except ImageError:
                continue
        if pixels:
            stacks.append(searcher.encoder.encode(np.stack(pixels)))
        progress("queries", min(start + _BATCH, len(chosen)), len(chosen))
    if not readable:
        raise RunError("not one query picture can be read")
    return [query.uri for query in readable], [query.label for query in readable], np.concatenate(stacks)


def _search(
    searcher: Searcher,
    database: _Database,
    uris: list[str],
    labels: list[Label | None],
    features: np.ndarray,
    own_rows: np.ndarray | None,
    rerank: bool,
    seed: int,
    progress: Progress,
) -> Run:
    # As text: a dataset's 7 and a folder's "7" are the same class, as they are for the command line's --label.
    texts = {str(label) for label in database.labels if label is not None}
    codes = {text: code for code, text in enumerate(sorted(texts))}
    stored = np.array([-1 if label is None else codes[str(label)] for label in database.labels])
    wanted = np.array([codes.get(str(label), -2) for label in labels])
    ranks = len(database.ids) - (own_rows is not None)
    kept = min(_KEPT, ranks)

    relevant, tied, exact_ids, exact_distances = [], [], [], []
    for block in rank(features, database.features, own_rows):
        stop = block.start + len(block.order)
        # What is compared with what Qdrant serves is the ranking before it is re-ranked.
        exact_ids.append(database.ids[block.order[:, :kept]])
        exact_distances.append(block.distances[:, :kept])
        if rerank:
            block = rerank_block(block, features, database.features)
        relevant.append(pack(stored[block.order] == wanted[block.start : stop, None]))
        same = np.zeros(block.distances.shape, bool)
        same[:, 1:] = block.distances[:, 1:] == block.distances[:, :-1]
        tied.append(pack(same))
        progress("rank", stop, len(features))

    own_ids = None if own_rows is None else database.ids[own_rows]
    served_ids, served_distances = _served(searcher, features, kept, own_ids)
    return Run(
        collection=searcher.name,
        database=len(database.ids),
        ranks=ranks,
        relevant=np.concatenate(relevant),
        tied=np.concatenate(tied),
        exact_ids=np.concatenate(exact_ids),
        exact_distances=np.concatenate(exact_distances),
        served_ids=served_ids,
        served_distances=served_distances,
        query_uris=np.array(uris),
        about={
            "seed": seed,
            "fingerprint": searcher.metadata.fingerprint,
            "model": searcher.metadata.model,
            "sources": list(searcher.metadata.sources),
            "leave_one_out": own_rows is not None,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def _served(
    searcher: Searcher, features: np.ndarray, kept: int, own_ids: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and distances as Qdrant serves them, without the query itself."""
    ids = np.full((len(features), kept), "", dtype="U36")
    distances = np.full((len(features), kept), np.inf, np.float32)
    for start in range(0, len(features), _BATCH):
        found = searcher.collection.search_batch(features[start : start + _BATCH], kept + (own_ids is not None))
        for row, hits in enumerate(found, start):
            others = [hit for hit in hits if own_ids is None or hit.id != own_ids[row]][:kept]
            ids[row, : len(others)] = [hit.id for hit in others]
            distances[row, : len(others)] = [hit.distance for hit in others]
    return ids, distances
