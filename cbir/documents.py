"""Results as JSON values: what `--json` prints.

In: what the functions of `cbir` return. Out: dicts and lists. Other programs rely on their keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from cbir.collection.metadata import Metadata
    from cbir.collection.point import Hit
    from cbir.collection.transfer import Transferred
    from cbir.evaluate.compare.comparison import Comparison
    from cbir.evaluate.compare.copies_comparison import CopiesComparison
    from cbir.evaluate.copies.result import Copies
    from cbir.evaluate.evaluation import Evaluation
    from cbir.evaluate.robustness import Robustness
    from cbir.ingest.embed import Written
    from cbir.ingest.report import Report
    from cbir.model.kind import Kind
    from cbir.search.duplicates.result import Duplicates
    from cbir.search.query import Query
    from cbir.search.searcher import Searcher
    from cbir.verbs.check import Checked
    from cbir.verbs.embed import Embedded
    from cbir.verbs.move import Moved
    from cbir.verbs.overview import Overview
    from cbir.verbs.prune import Pruned
    from cbir.verbs.remove import Removal
    from cbir.verbs.snapshot import Snapshot


def ingest(report: Report) -> dict[str, Any]:
    """Return an ingest's report as JSON values.

    `found` is the sum of `ingested`, `unchanged`, `updated`, `moved`, `copies`, `skipped`, and what was left out.
    """
    return {
        "collection": report.collection,
        "points": report.points,
        "found": report.found,
        "ingested": report.ingested,
        "unchanged": report.unchanged,
        "updated": report.updated,
        "conflicting": report.conflicting,
        "relabelled": report.relabelled,
        "unlabelled": report.unlabelled,
        "moved": report.moved,
        "copies": report.copies,
        **_troubles(report),
        "choices": {path: dict(chosen) for path, chosen in report.choices.items()},
        "gone": report.gone,
        "unchosen": report.unchosen,
        "pruned": report.pruned,
        "file": None if report.file is None else str(report.file),
        "model": {
            "path": str(report.model.path),
            "encoder": report.model.kind,
            "trained": report.trained,
            "usual_for": report.usual_for or None,
            "notes": list(report.model.metadata.get("notes") or []),
            "fingerprint": report.model.fingerprint,
        },
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
    }


def search(
    collection: str, metadata: Metadata, queries: Sequence[Query], found: Sequence[Sequence[Hit]]
) -> dict[str, Any]:
    """Return the hits of several queries as JSON values."""
    return {
        "collection": collection,
        "queries": [
            {**query(asked), "hits": [hit(each, metadata) for each in hits]}
            for asked, hits in zip(queries, found, strict=True)
        ],
    }


def query(asked: Query) -> dict[str, Any]:
    """Return a query as JSON values: one of the keys `image`, `text` and `terms`; what is subtracted weighs below 0."""
    from cbir.search.query import Combination, Words, named

    if isinstance(asked, Combination):
        return {"terms": [{"weight": term.weight, **query(term.query)} for term in asked.terms]}
    return {"text": asked.text} if isinstance(asked, Words) else {"image": named(asked)}


def hit(found: Hit, metadata: Metadata) -> dict[str, Any]:
    """Return a hit as JSON values.

    `path` is null where the picture is not a file, `copies` are those of its copies; `gone` says that none of these
    files is there any more.
    """
    from cbir.core.uris import is_absolute
    from cbir.search.missing import is_missing, present_first
    from cbir.search.places import located_places

    located = present_first(located_places(found.payload, metadata), metadata.roots.values())
    place, *copies = [path if is_absolute(path) else None for path in located]
    return {
        "id": found.id,
        "distance": found.distance,
        "label": found.label,
        "uri": found.uri,
        "path": place,
        "copies": copies,
        "gone": is_missing(located[0], metadata.roots.values()),
        "payload": found.payload,
    }


def embedding(image: str, searcher: Searcher, vector: np.ndarray) -> dict[str, Any]:
    """Return a picture's feature, and which collection's encoder made it."""
    return {
        "image": image,
        "collection": searcher.name,
        "fingerprint": searcher.bundle.fingerprint,
        "vector": vector.tolist(),
    }


def _troubles(report: Report | Written) -> dict[str, Any]:
    """Return which pictures were not taken, or only with a warning, as JSON values."""
    return {
        "skipped": report.skipped,
        "unreadable": [{"uri": uri, "reason": reason} for uri, reason in report.unreadable],
        "warned": report.warned,
        "warnings": [{"uri": uri, "reason": reason} for uri, reason in report.warnings],
        "left_out": [asdict(left) for left in report.left_out],
    }


def embedded(done: Embedded) -> dict[str, Any]:
    """Return what became of the pictures whose features were written, as JSON values.

    `found` is the sum of `points`, `copies`, `skipped`, and what was left out.
    """
    written = done.written
    return {
        "collection": done.collection,
        "fingerprint": done.model.fingerprint,
        "folder": str(done.folder),
        "bytes": done.bytes,
        "found": written.found,
        "points": written.points,
        "kept": written.kept,
        "taken_out": written.taken_out,
        "copies": written.copies,
        **_troubles(written),
        "sets": [{"folder": name, "points": points, "fields": fields} for name, points, fields in written.sets],
        "fields_left_out": written.fields_left_out,
        "file": None if done.lines is None else str(done.lines),
        "seconds": round(written.seconds, 3),
    }


def evaluation(done: Evaluation | None, copies: Copies | None) -> dict[str, Any]:
    """Return scores by labels, and of edited copies, as JSON values; keys of depths are strings.

    Without labels there are no scores beside `collection`, `database` and `copies`, which is null if no copies
    were searched for.
    """
    edited = None if copies is None else copies.as_json()
    scores = {name: edited[name] for name in ("collection", "database")} if edited and done is None else {}
    return {**(scores if done is None else done.as_json()), "copies": edited}


def copies(done: Sequence[Copies]) -> dict[str, Any]:
    """Return what edited copies of several collections found, as JSON values."""
    return {"collections": [evaluation(None, each) for each in done]}


def robustness(done: Robustness) -> dict[str, Any]:
    """Return the scores of distorted queries as JSON values."""
    return done.as_json()


def duplicates(found: Duplicates) -> dict[str, Any]:
    """Return what a collection holds more than once as JSON values."""
    return found.as_json()


def denoised(collection: str, picture: Path) -> dict[str, Any]:
    """Return the path of a denoised picture and its collection."""
    return {"collection": collection, "picture": str(picture)}


def comparison(done: Comparison | CopiesComparison) -> dict[str, Any]:
    """Return a comparison, by labels or by edited copies, as JSON values; keys of depths are strings."""
    return done.as_json()


def transfer(done: Transferred) -> dict[str, Any]:
    """Return what a transfer did as JSON values."""
    return asdict(done)


def snapshot(made: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values."""
    return {**asdict(made), "path": str(made.path)}


def restored(collection: str, file: Path) -> dict[str, Any]:
    """Return a restored collection and its file."""
    return {"collection": collection, "file": str(file)}


def moved(done: Moved) -> dict[str, Any]:
    """Return which roots moved as JSON values."""
    return {"roots": [asdict(root) for root in done.roots], "failed": dict(done.failed), "done": done.done}


def removal(done: Removal) -> dict[str, Any]:
    """Return what was removed, or would be, as JSON values; what is not known is null."""
    return asdict(done)


def pruned(done: Pruned) -> dict[str, Any]:
    """Return what nothing used, and what of it was removed, as JSON values."""
    removed = {each.path for each in done.removed}
    return {
        "home": str(done.home),
        "unused": [{**asdict(each), "path": str(each.path), "removed": each.path in removed} for each in done.unused],
        "bytes": done.bytes,
        "removed_bytes": sum(each.bytes for each in done.removed),
        "kept": [{"what": what, "reason": reason} for what, reason in done.kept.items()],
    }


def encoders() -> list[dict[str, Any]]:
    """Return the registry as JSON values."""
    from cbir.model import registry

    return [_encoder(kind) for kind in registry.encoders()]


def encoder(name: str) -> dict[str, Any]:
    """Return an encoder and its options as JSON values; a default that depends on the pictures is null."""
    from cbir.core.options import spelled
    from cbir.model.registry import kind_of

    kind = kind_of(name)
    return {
        **_encoder(kind),
        "options": [
            {**asdict(option), "name": spelled(option.name), "type": option.type.__name__}
            for option in kind.options.values()
        ],
    }


def _encoder(kind: Kind) -> dict[str, Any]:
    from cbir.model.registry import DEFAULTS

    return {
        "name": kind.name,
        "default_for": DEFAULTS.get(kind.name),
        "learns_from": kind.learns_from,
        "words": kind.words,
        "download_bytes": kind.download,
        "licence": kind.licence or None,
        "summary": kind.summary,
    }


def overview(found: Overview) -> dict[str, Any]:
    """Return collections and models as JSON values; sizes are null while a collection is in use."""
    return {
        "home": str(found.home),
        "cache": str(found.cache),
        "location": found.location,
        "default": found.default,
        "providers": found.providers,
        "collections": [
            {
                "name": c.name,
                "path": str(c.path) if c.path else None,
                "points": c.info.points if c.info else None,
                "indexed": c.info.indexed if c.info else None,
                "bytes": c.info.bytes if c.info else None,
                "problem": c.problem or None,
                **({} if c.metadata is None else c.metadata.to_json()),
            }
            for c in found.collections
        ],
        "models": [{"name": b.name, "path": str(b.path), **b.metadata} for b in found.models],
    }


def checked(found: Checked) -> dict[str, Any]:
    """Return what a check of a collection has found as JSON values; numbers are null if points cannot be read."""
    damage = found.damage
    return {
        "collection": found.collection,
        "location": found.location,
        "sound": found.sound,
        "problem": found.problem or None,
        "points": damage.points if damage else None,
        "lost": damage.lost if damage else None,
        "changed_by_others": damage.changed if damage else None,
        "without_checksum": damage.unsigned if damage else None,
        "damaged": [asdict(point) for point in found.points],
    }
