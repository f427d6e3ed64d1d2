"""What is read of a Qdrant server: its collections, and the points in them.

In: names, and conditions as Qdrant's JSON has them. Out: small dataclasses. What is changed on a server goes through
qdrant-client, whose import a search does without.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from cbir.collection.layout import Layout
from cbir.collection.point import Label, Payload
from cbir.collection.served.rest import AnswerError, NotQdrantError
from cbir.collection.served.settings import layout_of

T = TypeVar("T")

#: A condition, as Qdrant's JSON has it.
Condition = dict[str, Any]

#: Sends a method, a path and a JSON value, with the most seconds to wait if not the usual; returns the answer's JSON.
Send = Callable[[str, str, object, float | None], Any]

_NOT_FOUND = 404
#: States of a copy of a shard that could not take part in what was stored last.
_BEHIND = {"Dead", "Partial", "PartialSnapshot", "Recovery"}


class Record(NamedTuple):
    """A stored point; of a search, with its distance."""

    id: str
    payload: Payload | None
    vector: Sequence[float] | None
    score: float | None


@dataclass(frozen=True)
class Described:
    """What Qdrant knows of a collection.

    Attributes
    ----------
    metadata : Mapping
        What is stored with it, by whichever tool.
    vectors : Mapping
        Size and distance of its vectors, or those of each name.
    indexes : dict
        The type of each field that has an index.
    layout : Layout
    shards : int
    threshold : int or None
        Kilobytes of vectors above which an HNSW index is built.
    points, indexed : int
        About how many.
    status : str
        `green`: all is done; `yellow`: an index is being built; `grey`, `red`.
    problem : str
        Why an index cannot be built; empty if none is known.
    """

    metadata: Mapping[str, Any]
    vectors: Mapping[str, Any]
    indexes: Mapping[str, str]
    layout: Layout
    shards: int
    threshold: int | None
    points: int
    indexed: int
    status: str
    problem: str

    @property
    def vectors_in_words(self) -> str:
        """Which vectors it holds."""
        if "size" in self.vectors:
            return f"vectors of {self.vectors['size']} values by {self.vectors['distance']} distance"
        return f"named vectors: {', '.join(self.vectors)}" if self.vectors else "no vectors"


class Reader:
    """Asks one server; its methods are to be called through `Server.call` or `Server.once`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def version(self) -> str:
        """Return the server's version, such as `1.18.3`."""
        return self._read("GET", "/", None, lambda answer: str(answer["version"]))

    def names(self) -> list[str]:
        """Return the names of all collections, without their aliases."""
        return self._result("GET", "/collections", None, lambda found: [str(c["name"]) for c in found["collections"]])

    def aliases(self) -> dict[str, str]:
        """Return each alias with the collection that it names."""
        return self._result(
            "GET",
            "/aliases",
            None,
            lambda found: {str(a["alias_name"]): str(a["collection_name"]) for a in found["aliases"]},
        )

    def describe(self, name: str, timeout: float | None = None) -> Described | None:
        """Return what the server knows of a collection, if it tells within so many seconds; None if there is none."""
        try:
            return self._result("GET", _path(name), None, _described, timeout)
        except AnswerError as error:
            if error.status != _NOT_FOUND or error.reason is None:
                raise
            return None

    def behind(self, name: str) -> list[str]:
        """Return the addresses of the nodes of a cluster whose copies of a collection lack points, for now."""

        def unfinished(found: Any) -> set[str]:
            here = [{**shard, "peer_id": found["peer_id"]} for shard in found["local_shards"]]
            return {str(shard["peer_id"]) for shard in (*here, *found["remote_shards"]) if shard["state"] in _BEHIND}

        peers = self._result("GET", f"{_path(name)}/cluster", None, unfinished)
        if not peers:
            return []
        known = self._result(
            "GET", "/cluster", None, lambda found: {p: str(v["uri"]).rstrip("/") for p, v in found["peers"].items()}
        )
        return sorted(known.get(peer, peer) for peer in peers)

    def records(
        self, name: str, ids: Sequence[str], *, payload: bool | Sequence[str] = True, vectors: bool = False
    ) -> list[Record]:
        """Return those of some points that are stored."""
        body = {"ids": list(ids), "with_payload": payload, "with_vector": vectors}
        return self._result("POST", f"{_path(name)}/points", body, _records)

    def search(self, name: str, queries: Sequence[Mapping[str, Any]]) -> list[list[Record]]:
        """Return what each query finds."""
        return self._result(
            "POST",
            f"{_path(name)}/points/query/batch",
            {"searches": list(queries)},
            lambda found: [_records(each["points"]) for each in found],
        )

    def scroll(
        self,
        name: str,
        passing: Condition | None,
        *,
        limit: int,
        offset: object,
        payload: bool | Sequence[str],
        vectors: bool,
    ) -> tuple[list[Record], object]:
        """Return points in the order of their ids, and where the next ones begin; None at the end."""
        body = {"limit": limit, "offset": offset, "filter": passing, "with_payload": payload, "with_vector": vectors}
        return self._result(
            "POST",
            f"{_path(name)}/points/scroll",
            body,
            lambda found: (_records(found["points"]), found["next_page_offset"]),
        )

    def count(self, name: str, passing: Condition | None, *, exact: bool = True) -> int:
        """Count points."""
        body = {"filter": passing, "exact": exact}
        return self._result("POST", f"{_path(name)}/points/count", body, lambda found: int(found["count"]))

    def facet(self, name: str, key: str, passing: Condition | None, limit: int) -> list[tuple[Label, int]]:
        """Return the values of a field by its index, each with the number of points that have it."""
        body = {"key": key, "filter": passing, "limit": limit, "exact": True}
        return self._result(
            "POST",
            f"{_path(name)}/facet",
            body,
            lambda found: [(hit["value"], int(hit["count"])) for hit in found["hits"]],
        )

    def telemetry(self, timeout: float) -> Mapping[str, Mapping[str, Any]]:
        """Return, by Qdrant's account of itself within so many seconds, what is stored with each collection."""
        return self._result("GET", "/telemetry?details_level=2", None, _all_metadata, timeout)

    def _result(
        self, method: str, path: str, body: object, read: Callable[[Any], T], timeout: float | None = None
    ) -> T:
        return self._read(method, path, body, lambda answer: read(answer["result"]), timeout)

    def _read(self, method: str, path: str, body: object, read: Callable[[Any], T], timeout: float | None = None) -> T:
        answer = self._send(method, path, body, timeout)
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotQdrantError from error


def _path(name: str) -> str:
    return f"/collections/{quote(name, safe='')}"


def _described(found: Mapping[str, Any]) -> Described:
    config, state = found["config"], found["optimizer_status"]
    return Described(
        metadata=dict(config.get("metadata") or {}),
        vectors=dict(config["params"].get("vectors") or {}),
        indexes={field: str(index["data_type"]) for field, index in (found.get("payload_schema") or {}).items()},
        layout=layout_of(config),
        shards=int(config["params"].get("shard_number") or 1),
        threshold=config["optimizer_config"].get("indexing_threshold"),
        points=int(found.get("points_count") or 0),
        indexed=int(found.get("indexed_vectors_count") or 0),
        status=str(found["status"]),
        problem="" if state == "ok" else str(state["error"]),
    )


def _records(found: Sequence[Mapping[str, Any]]) -> list[Record]:
    return [Record(str(p["id"]), p.get("payload"), p.get("vector"), p.get("score")) for p in found]


def _all_metadata(telemetry: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    told = telemetry["collections"]
    # A server without collections leaves the list out.
    collections = told["collections"] if told["number_of_collections"] else []
    return {str(each["id"]): dict(each["config"].get("metadata") or {}) for each in collections}
