"""`/c/{name}/quality`: how good a collection's searches are, as far as that was measured.

In: stored runs. Out: their numbers in words, their figures, and the worst misses; what was not measured is told with
the command that does. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response

from cbir import documents
from cbir.collection.filter import Exists
from cbir.collection.point import Hit, label_of, text_of
from cbir.core.errors import CbirError
from cbir.serve.headers import LOCKED
from cbir.serve.measured import Compared, Found, measured
from cbir.serve.misses import Missed, missed_copies, missed_labels
from cbir.serve.pages.asked import Asked
from cbir.serve.pages.frame import page, pages_router
from cbir.serve.pages.shown import Shown, shown
from cbir.serve.problems import NotFoundError
from cbir.serve.schemas import HitAnswer
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.collection.interface import Collection
    from cbir.collection.metadata import Metadata
    from cbir.serve.state import State

#: The figures of runs; no other file of theirs is answered.
_FIGURES = ("curve.png", "misses.png", "curves.png", "shares.png", "lineup.png")
_PNG = b"\x89PNG\r\n\x1a\n"
#: Depths that the page's table has, besides the last.
_DEPTHS = ("1", "10", "100", "1000", "10000")

router = pages_router()


@dataclass(frozen=True)
class Pair:
    """A miss: what was searched for and what came instead, as far as they are in the collection now."""

    missed: Missed
    query: Shown | None
    found: Shown | None


@router.get("/c/{name}/quality")
async def quality_page(request: Request, name: str, served: Served) -> Response:
    """Tell how good searches are."""
    told = await served.gate.run(_told, served, name)
    return await page(request, served, "quality.html", name, **told)


@router.get("/c/{name}/quality/{run}/{figure}")
async def figure(name: str, run: str, figure: str, served: Served) -> Response:
    """Answer a figure of one of the runs that the page tells of."""
    return Response(await served.gate.run(_figure, served, name, run, figure), headers=LOCKED, media_type="image/png")


def _figure(served: State, name: str, run: str, figure: str) -> bytes:
    searcher = served.library.searcher(name)
    folders = measured(served.library.settings.runs, searcher.name, searcher.metadata).folders()
    folder = next((each for each in folders if each.name == run), None)
    path = None if folder is None or figure not in _FIGURES else folder / figure
    if path is None or path.is_symlink() or not path.is_file():
        raise NotFoundError(f"no figure {figure} of a run {run} of collection '{name}'")
    content = path.read_bytes()
    if not content.startswith(_PNG):
        raise NotFoundError(f"{figure} of {run} is not a PNG")
    return content


def _told(served: State, name: str) -> dict[str, Any]:
    searcher = served.library.searcher(name)
    found = measured(served.library.settings.runs, searcher.name, searcher.metadata)
    with searcher.used() as collection:
        told = {
            "points": collection.count(),
            "labelled": collection.count(where=Exists("label")) > 0,
            "encoders": ("photo", "dinov2") if searcher.metadata.input_shape[2] == 3 else ("contrastive", "pixels"),
            "labels": found.labels and _labels(name, found.labels, collection, searcher.metadata),
            "copies": found.copies and _copies(name, found.copies, collection, searcher.metadata),
        }
    return {**told, "comparisons": [_comparison(name, each) for each in found.comparisons]}


def _labels(name: str, run: Found, collection: Collection, metadata: Metadata) -> dict[str, Any]:
    """Return what the page says of an evaluation by labels."""
    scores = run.scores
    depths = sorted(scores["lrap"], key=int)
    precision, recall = scores["precision_at"], scores["recall_at"]
    table = [
        [f"{int(n):,}", scores["lrap"].get(n), precision.get(n), recall.get(n)]
        for n in dict.fromkeys((*_DEPTHS, *depths[-1:]))
        if n in precision
    ]
    missed, problem = _read(missed_labels, run.folder / "run.npz", Path(scores["run"]))
    pairs = _pairs(name, missed, collection, metadata, stored=bool(scores.get("leave_one_out")))
    tenth = str(min(10, max(int(n) for n in precision)))
    return {
        **_common(name, run, "curve.png"),
        "first": precision["1"],
        "among": precision[tenth],
        "ten": int(tenth),
        "map": scores["map"],
        "served": scores["ann_recall_at_10"],
        "unanswerable": scores.get("without_relevant", 0),
        "own": scores.get("leave_one_out"),
        "queries": scores["queries"],
        "from": scores.get("queries_from"),
        "table": table,
        "pairs": pairs,
        "problem": problem,
    }


def _copies(name: str, run: Found, collection: Collection, metadata: Metadata) -> dict[str, Any]:
    """Return what the page says of a run of edited copies."""
    missed, problem = _read(missed_copies, run.folder / "copies.npz", Path(run.scores["run"]))
    return {
        **_common(name, run, "misses.png"),
        "first": run.scores["mean"]["first"],
        "among": run.scores["mean"]["among_ten"],
        "pictures": run.scores["pictures"],
        "rows": run.scores["rows"],
        "pairs": _pairs(name, missed, collection, metadata, stored=True),
        "problem": problem,
    }


def _common(name: str, run: Found, figure: str) -> dict[str, Any]:
    scores = run.scores
    options = {"expand": scores.get("expand"), "rerank": scores.get("rerank"), "smooth": scores.get("smooth")}
    return {
        "made": f"{run.made.day} {run.made:%B %Y, %H:%M} UTC",
        "database": scores["database"],
        "options": [
            f"--{option} {value}" if value is not True else f"--{option}" for option, value in options.items() if value
        ],
        "figure": _address(name, run.folder, figure),
    }


def _comparison(name: str, compared: Compared) -> dict[str, Any]:
    figures = [
        address
        for each in ("curves.png", "shares.png", "lineup.png")
        if (address := _address(name, compared.folder, each))
    ]
    return {
        "source": compared.source,
        "made": f"{compared.made.day} {compared.made:%B %Y}",
        "tables": compared.tables,
        "figures": figures,
    }


def _address(name: str, folder: Path, figure: str) -> str | None:
    """Return where a figure is answered; None if there is none."""
    if not (folder / figure).is_file():
        return None
    return f"/c/{quote(name, safe='')}/quality/{quote(folder.name, safe='')}/{figure}"


def _read(read: Callable[[Path], list[Missed]], *files: Path) -> tuple[list[Missed], str | None]:
    """Return the misses of the first of these files that is there, or why they cannot be read."""
    try:
        return read(next((file for file in files if file.is_file()), files[-1])), None
    except CbirError as error:
        return [], str(error)


def _pairs(name: str, missed: list[Missed], collection: Collection, metadata: Metadata, *, stored: bool) -> list[Pair]:
    """Return misses with the pictures that are stored; `stored`: the queries are, too."""
    if not missed:
        return []
    ids = {each.found for each in missed} | {each.query for each in missed if each.query}
    payloads = collection.payloads(sorted(ids))
    queries = {each.query: each.query for each in missed if each.query}
    if stored and not queries:
        uris = [each.uri for each in missed]
        for points in collection.scroll(vectors=False, where={"uri": uris}):
            for point, payload in zip(points.ids, points.payloads, strict=True):
                payloads[point] = payload
                queries[text_of(payload, "uri")] = point

    def picture(point: str | None) -> Shown | None:
        if point is None or point not in payloads:
            return None
        payload = payloads[point]
        hit = Hit(point, 0.0, label_of(payload), text_of(payload, "uri"), payload)
        return shown(name, HitAnswer(**documents.hit(hit, metadata)), Asked(), near=False)

    return [Pair(each, picture(each.query or queries.get(each.uri)), picture(each.found)) for each in missed]
