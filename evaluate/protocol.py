"""The article's protocol: search held-out queries and store the run.

In: a searcher and query items with labels. Out: a `Run`, or one for each way
to distort the queries. Where nothing was held out (a folder of pictures),
stored images are the queries, each left out of its own ranking.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import numpy as np
from PIL import Image

from cbir.collection.point import Label, ids_of, label_of, text_of
from cbir.core.errors import CbirError
from cbir.core.progress import Progress, silent
from cbir.evaluate.database import Database, load, payloads_of
from cbir.evaluate.labels import require_labels
from cbir.evaluate.left_out import left_out
from cbir.evaluate.options import EvaluationOptions
from cbir.evaluate.ranking import ExactNeighbours, rank, reordered
from cbir.evaluate.run import Run, RunError, pack
from cbir.evaluate.unstored import unlike_stored
from cbir.model.distortion import Distortion, workable
from cbir.model.edited import edited
from cbir.search import stages
from cbir.search.neighbours import without
from cbir.search.searcher import Searcher

#: Closest hits stored by id, and compared with what Qdrant serves.
_STORED_HITS = 10
_BATCH = 256


class QueryImage(Protocol):
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
class _StoredImage:
    """A stored image as a query."""

    uri: str
    label: Label | None
    open: Callable[[], Image.Image]


@dataclass(frozen=True)
class _Queries:
    """The queries; `own_rows` (m,) are theirs in the database, where they are stored images.

    `left_out` are m arrays of rows then: each query's own, and those of copies of its picture.
    """

    images: list[QueryImage]
    own_rows: np.ndarray | None = None
    left_out: list[np.ndarray] | None = None

    def only(self, numbers: list[int]) -> "_Queries":
        """Return some of the queries."""
        return _Queries(
            [self.images[number] for number in numbers],
            None if self.own_rows is None else self.own_rows[numbers],
            None if self.left_out is None else [self.left_out[number] for number in numbers],
        )


def evaluate(
    searcher: Searcher,
    held_out: Sequence[QueryImage],
    options: EvaluationOptions | None = None,
    *,
    progress: Progress = silent,
) -> Run:
    """Search random queries and rank the whole database for each.

    Parameters
    ----------
    searcher : Searcher
    held_out : sequence of QueryImage
        Images outside the collection; if empty, stored images are left out one at a time.
    options : EvaluationOptions, optional
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
    options = options or EvaluationOptions()
    require_labels(searcher)  # before all features are loaded
    with closing(load(searcher, progress)) as database:
        queries = _drawn(searcher, database, held_out, options)
        if queries.own_rows is None or searcher.metadata.smooth:  # stored, averaged with neighbours; a query is not
            queries, (features,) = _embed(searcher, database, queries, [None], options.seed, progress)
        else:
            features = database.features[queries.own_rows]
        return _search(searcher, database, queries, features, options, progress)


def evaluate_distorted(
    searcher: Searcher,
    held_out: Sequence[QueryImage],
    distortions: Sequence[Distortion],
    options: EvaluationOptions | None = None,
    *,
    progress: Progress = silent,
) -> Iterator[Run]:
    """Search the same queries as they are, then distorted; the database is loaded once.

    Parameters
    ----------
    searcher, held_out, progress
        As `evaluate` takes them.
    distortions : sequence of Distortion
    options : EvaluationOptions, optional
        Its seed draws the queries and, with a query's uri, what is random in its distortions.

    Yields
    ------
    Run
        Of the queries as they are, then one for each distortion, which stands in `about`.

    Raises
    ------
    RunError
        Nothing stored, no labels, too few images, or not one query picture that can be read.
    """
    options = options or EvaluationOptions()
    require_labels(searcher)  # before all features are loaded
    variants = [None, *distortions]
    with closing(load(searcher, progress)) as database:
        queries = _drawn(searcher, database, held_out, options)
        queries, stacks = _embed(searcher, database, queries, variants, options.seed, progress)
        for distortion, features in zip(variants, stacks, strict=True):
            yield _search(searcher, database, queries, features, options, progress, distortion)


def _drawn(
    searcher: Searcher, database: Database, held_out: Sequence[QueryImage], options: EvaluationOptions
) -> _Queries:
    """Draw the queries: held-out images, or stored ones if there are none."""
    generator = np.random.default_rng(options.seed)
    labelled: list[QueryImage] = [item for item in held_out if item.label is not None]
    if labelled:
        drawn = generator.permutation(len(labelled))[: options.queries]
        return _Queries([labelled[i] for i in drawn])
    if len(database) < 2:
        raise RunError(f"collection '{searcher.name}' holds one image; leaving it out leaves nothing to rank")
    own_rows = generator.permutation(np.flatnonzero(database.classes >= 0))[: options.queries]
    stored: list[QueryImage] = [
        _StoredImage(text_of(payload, "uri"), label_of(payload), partial(searcher.open_stored, payload))
        for payload in payloads_of(searcher.collection, ids_of(database.ids[own_rows]))
    ]
    return _Queries(stored, own_rows, left_out(searcher, database.ids, database.features, own_rows))


def _embed(
    searcher: Searcher,
    database: Database,
    queries: _Queries,
    variants: Sequence[Distortion | None],
    seed: int,
    progress: Progress,
) -> tuple[_Queries, list[np.ndarray]]:
    """Encode the queries, (m, d) for each variant, of which the first is none; what cannot be read is left out.

    So is a held-out picture that is stored too.
    """
    readable: list[int] = []
    problem = ""
    stacks: list[list[np.ndarray]] = [[] for _ in variants]
    for start in range(0, len(queries.images), _BATCH):
        seen: list[list[np.ndarray]] = []
        for number, query in enumerate(queries.images[start : start + _BATCH], start):
            try:
                seen.append(_variants(searcher, query, variants, seed))
                readable.append(number)
            except CbirError as error:
                problem = problem or str(error)
        for stack, pixels in zip(stacks, zip(*seen, strict=True), strict=False):
            stack.append(searcher.encoder.encode(np.stack(pixels)))
        progress("queries", min(start + _BATCH, len(queries.images)), len(queries.images))
    if not readable:
        raise RunError(
            f"none of the query pictures can be read (the first: {problem}). "
            "If the folder has moved, ingest it from its new place."
        )
    features = [np.concatenate(stack) for stack in stacks]
    queries = queries.only(readable)
    if queries.own_rows is None:
        kept = unlike_stored(searcher, database, features[0], [query.open for query in queries.images])
        return queries.only(kept.tolist()), [each[kept] for each in features]
    return queries, features


def _variants(
    searcher: Searcher, query: QueryImage, variants: Sequence[Distortion | None], seed: int
) -> list[np.ndarray]:
    """Return what the encoder sees of each variant of a query."""
    picture = query.open()
    plain = workable(picture) if any(variants) else picture
    return [
        searcher.pixels(picture if distort is None else edited(plain, distort, seed, query.uri)) for distort in variants
    ]


def _search(
    searcher: Searcher,
    database: Database,
    queries: _Queries,
    features: np.ndarray,
    options: EvaluationOptions,
    progress: Progress,
    distortion: Distortion | None = None,
) -> Run:
    """Rank the database for each query, exactly and as Qdrant serves it."""
    out = queries.left_out
    neighbours = ExactNeighbours(database.features, out)
    features = stages.before(neighbours, features, options)
    if queries.own_rows is None:
        wanted = database.classes_of(query.label for query in queries.images)
    else:
        wanted = database.classes[queries.own_rows]
    ranks = len(database) - (out is not None)
    count = min(_STORED_HITS, ranks)

    relevant, tied = (np.empty((len(features), -(-ranks // 8)), np.uint8) for _ in range(2))
    exact_ids, exact_distances = [], []
    for block in rank(features, database.features, out):
        stop = block.start + len(block.order)
        # Qdrant serves rankings without the steps that follow a search: compare it with the same.
        texts = np.array([ids_of(ids) for ids in database.ids[block.order[:, :count]]])
        exact_ids.append(np.where(block.counts[:, :count], texts, ""))
        exact_distances.append(block.distances[:, :count].copy())  # else all of them would stay
        final = reordered(block, features, neighbours, options)
        relevant[block.start : stop] = pack(
            (database.classes[final.order] == wanted[block.start : stop, None]) & final.counts
        )
        same = np.zeros(final.distances.shape, bool)
        same[:, 1:] = final.distances[:, 1:] == final.distances[:, :-1]
        tied[block.start : stop] = pack(same & final.counts)
        progress("rank", stop, len(features), "" if distortion is None else str(distortion))

    own = None if out is None else [set(ids_of(database.ids[rows])) for rows in out]
    served_ids, served_distances = _served(searcher, features, count, own)
    return Run(
        collection=searcher.name,
        database=len(database),
        ranks=ranks,
        relevant=relevant,
        tied=tied,
        exact_ids=np.concatenate(exact_ids),
        exact_distances=np.concatenate(exact_distances),
        served_ids=served_ids,
        served_distances=served_distances,
        query_uris=np.array([query.uri for query in queries.images]),
        copies=np.zeros(len(features), int) if out is None else np.array([len(rows) - 1 for rows in out]),
        about=_about(searcher, options, leave_one_out=out is not None, distortion=distortion),
    )


def _about(
    searcher: Searcher, options: EvaluationOptions, *, leave_one_out: bool, distortion: Distortion | None
) -> dict[str, Any]:
    return {
        **facts(searcher, options),
        "leave_one_out": leave_one_out,
        "distortion": None if distortion is None else str(distortion),
    }


def facts(searcher: Searcher, options: EvaluationOptions) -> dict[str, Any]:
    """Return what any run stores for people; `RankingOptions` by name among it."""
    return {
        **options.ranking,
        "seed": options.seed,
        "smooth": searcher.metadata.smooth,
        "fingerprint": searcher.metadata.fingerprint,
        "model": searcher.metadata.model,
        "sources": list(searcher.metadata.sources),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _served(
    searcher: Searcher, features: np.ndarray, count: int, own: Sequence[set[str]] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and distances as Qdrant serves them, without the query itself and its copies."""
    ids = np.full((len(features), count), "", dtype="U36")
    distances = np.full((len(features), count), np.inf, np.float32)
    for start in range(0, len(features), _BATCH):
        block = features[start : start + _BATCH]
        mine = [set[str]()] * len(block) if own is None else own[start : start + _BATCH]
        found = searcher.collection.search_batch(block, count + max(map(len, mine)), payloads=False)
        for row, (hits, out) in enumerate(zip(found, mine, strict=True), start):
            others = without(out, hits, count)
            ids[row, : len(others)] = [hit.id for hit in others]
            distances[row, : len(others)] = [hit.distance for hit in others]
    return ids, distances
