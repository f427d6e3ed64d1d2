"""Collections on a Qdrant server, through qdrant-client.

What is called NAME is an alias; behind it stands a collection NAME@1. A
replacement is filled beside it as NAME@2, and takes its place the moment the
alias is moved, which is one step of Qdrant's. Other tools ask for NAME as if it
were the collection. Nothing is deleted that an alias names, nor what somebody
else may still be filling.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qdrant_client import models

from cbir.collection.archive import is_archive, read_archive
from cbir.collection.interface import (
    CollectionBusyError,
    CollectionError,
    Metadata,
    Report,
    checked_name,
    missing,
    silent,
)
from cbir.collection.lock import held
from cbir.collection.served.cards import RESERVED, Cards
from cbir.collection.served.layout import Layout
from cbir.collection.served.points import ServedCollection
from cbir.collection.served.server import RefusedError, Server, ServerWarning

#: Fields that filters are asked for, indexed from the start so that the HNSW graph knows them;
#: `label` by the type of the first label seen.
INDEXED = ("uri", "source")

_NOT_FOUND, _CONFLICT = 404, 409
_TURBO_SINCE = (1, 18)

#: What Qdrant takes for a name: ours, and others' too.
_SENDABLE = re.compile(r'[^<>:"/\\|?*\0\x1f]{1,255}')


class ServedEngine:
    """Collections of a server.

    Parameters
    ----------
    server : Server
    locks : Path
        Folder of this machine where the right to fill a collection is held.
    layout : Layout, optional
        For collections made here.
    cards : Cards, optional
        Where metadata lies; by default as the server's version asks for.
    """

    def __init__(
        self, server: Server, locks: Path, *, layout: Layout | None = None, cards: Cards | None = None
    ) -> None:
        self.server = server
        self.layout = layout or Layout()
        self._locks = locks
        self._cards = cards or Cards(server)
        # Indexing thresholds as they were before they were put to 0, by collection; `close` keeps them.
        self._thresholds: dict[str, int] = {}

    @property
    def location(self) -> str:
        """The server's URL."""
        return self.server.location

    def names(self) -> list[str]:
        """List those collections, by name, that cbir filled."""
        aliases = self._aliases()
        direct = {name for name in self._physical() if "@" not in name and name != RESERVED}
        return sorted(name for name in direct | aliases.keys() if self._ours(name, aliases.get(name, name)))

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata."""
        return self._found(name)[1]

    def open(self, name: str) -> ServedCollection:
        """Open a collection; the one that is in place now, also if it is replaced later."""
        return self._opened(name, *self._found(name))

    def create(self, name: str, metadata: Metadata) -> ServedCollection:
        """Make an empty collection."""
        self._check_free(name)
        physical = self._created(name, metadata)
        self._put_in_place(name, physical)
        return self._opened(name, physical, metadata)

    @contextlib.contextmanager
    def replacement(self, name: str, metadata: Metadata) -> Iterator[ServedCollection]:
        """Yield an empty collection that takes the place of `name`, if there is one, when the block ends well."""
        self._check_ours(name)
        physical = self._created(name, metadata)
        with self._dropped_unless_named(name, physical):
            yield self._opened(name, physical, metadata)
            before = self._aliases().get(name)
            self._put_in_place(name, physical)
        if before is not None:
            self._drop_unnamed(before)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Hold the right to fill `name` among the processes of this machine."""
        place = re.sub(r"[^\w.\-]+", "-", self.location)
        with held(self._locks / place / f"{checked_name(name)}.lock", name):
            yield

    def delete(self, name: str) -> None:
        """Remove a collection and all its points."""
        physical, _ = self._found(name)
        if physical != name:
            delete = models.DeleteAlias(alias_name=name)
            self._alias(models.DeleteAliasOperation(delete_alias=delete))
        self._drop_unnamed(physical)

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self.server.close()

    def snapshot(self, name: str, path: Path, report: Report = silent) -> None:
        """Write Qdrant's own snapshot of a collection into a file."""
        from cbir.collection.served.snapshots import download

        self._check_snapshots()
        download(self.server, self._found(name)[0], path, report)

    def restore(self, path: Path, name: str, report: Report = silent) -> None:
        """Make collection `name` from a snapshot of Qdrant's, or from an archive of cbir's."""
        from cbir.collection.served.snapshots import upload

        if is_archive(path):
            read_archive(path, self, name, report)
            return
        self._check_snapshots()
        self._check_free(name)
        physical = self._next(name)
        with self._dropped_unless_named(name, physical):
            upload(self.server, physical, path, report)
            described = self._described(physical)
            if described is None or not self._has_card(physical, described):
                raise CollectionError(f"{path} is a snapshot of a collection that cbir did not fill")
            self._put_in_place(name, physical)

    def _check_snapshots(self) -> None:
        if self._cards.reserved:
            raise CollectionError(
                f"Qdrant before 1.16, as at {self.location}, keeps no metadata in its snapshots; "
                "take the collection home with cbir pull, and make the snapshot there"
            )

    @contextlib.contextmanager
    def _dropped_unless_named(self, name: str, physical: str) -> Iterator[None]:
        """If the block fails, remove what it made; unless it is in place already, or that cannot be found out."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(CollectionError):
                if self._aliases().get(name) != physical:
                    self._drop(physical)
            raise

    def _opened(self, name: str, physical: str, metadata: Metadata) -> ServedCollection:
        return ServedCollection(self.server, self._cards, name, physical, metadata, self._thresholds)

    def _found(self, name: str) -> tuple[str, Metadata]:
        """Return the collection behind a name and its metadata, once it is sure that it fits."""
        if not _SENDABLE.fullmatch(name):
            raise missing(name, self.location, self.names())
        physical = self._aliases().get(name, name)
        while (described := self._described(physical)) is None:
            now = self._aliases().get(name, name)
            if now == physical:
                raise missing(name, self.location, self.names())
            physical = now  # replaced between the two questions
        metadata = self._cards.of(physical, described)
        if metadata is None:
            raise self._foreign(name, described)
        vectors = described.config.params.vectors
        if not isinstance(vectors, models.VectorParams) or (vectors.size, vectors.distance) != (
            metadata.dimension,
            models.Distance.EUCLID,
        ):
            raise CollectionError(
                f"collection '{name}' at {self.location} holds {_vectors(described)}, but its metadata speaks of "
                f"{metadata.dimension} values by Euclidean distance; it was changed by another tool: "
                f"ingest into another --collection"
            )
        return physical, metadata

    def _ours(self, name: str, physical: str) -> bool:
        try:
            described = self._described(physical, patient=False)
        except RefusedError:
            # One that cannot be read just now must not stand in the way of the others.
            return physical.startswith(f"{name}@")
        return described is not None and self._has_card(physical, described)

    def _has_card(self, physical: str, described: models.CollectionInfo) -> bool:
        try:
            return self._cards.of(physical, described) is not None
        except CollectionError:
            return True  # damaged: whoever opens it is told

    def _described(self, physical: str, *, patient: bool = True) -> models.CollectionInfo | None:
        ask = self.server.call if patient else self.server.once
        try:
            return ask(self.server.client.get_collection, physical)
        except RefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    def _physical(self) -> list[str]:
        return [c.name for c in self.server.call(self.server.client.get_collections).collections]

    def _aliases(self) -> dict[str, str]:
        found = self.server.call(self.server.client.get_aliases).aliases
        return {alias.alias_name: alias.collection_name for alias in found}

    def _check_free(self, name: str) -> None:
        if self._check_ours(name):
            raise CollectionError(f"there is a collection '{name}' already; name another with --collection")

    def _check_ours(self, name: str) -> bool:
        """Refuse another tool's collection of that name; tell whether there is one of ours."""
        physical = self._aliases().get(checked_name(name), name)
        described = self._described(physical)
        if described is not None and not self._has_card(physical, described):
            raise self._foreign(name, described)
        return described is not None

    def _foreign(self, name: str, described: models.CollectionInfo) -> CollectionError:
        return CollectionError(
            f"collection '{name}' at {self.location} was not filled by cbir (it holds {_vectors(described)}); "
            "name another with --collection"
        )

    def _next(self, name: str) -> str:
        """Name the next collection behind `name`."""
        named = set(self._aliases().values())
        versions = {0}
        for physical in self._physical():
            version = physical.removeprefix(f"{name}@")
            if version == physical or not version.isdecimal():
                continue
            versions.add(int(version))
            if physical not in named:
                warnings.warn(
                    f"'{physical}' at {self.location} stands for no name: another process is filling it, or was "
                    "stopped; if it was, delete it through Qdrant",
                    ServerWarning,
                    stacklevel=2,
                )
        return f"{name}@{max(versions) + 1}"

    def _created(self, name: str, metadata: Metadata) -> str:
        if self.layout.quantization == "turbo" and self.server.version < _TURBO_SINCE:
            raise CollectionError(f"--quantization turbo needs Qdrant 1.18 or newer at {self.location}")
        physical = self._next(checked_name(name))
        client, call = self.server.client, self.server.call
        vectors = models.VectorParams(
            size=metadata.dimension, distance=models.Distance.EUCLID, on_disk=self.layout.on_disk or None
        )
        tries = 0

        def create() -> None:
            nonlocal tries
            tries += 1
            client.create_collection(physical, vectors_config=vectors, **self.layout.settings())

        try:
            call(create)
        except RefusedError as error:
            if error.status != _CONFLICT and "already exists" not in str(error):
                raise
            if tries == 1:
                raise CollectionBusyError(
                    f"another process is making collection '{name}' at {self.location}; wait for it to end"
                ) from error
            # Else: made by our own first try, whose answer was lost.
        if (self.layout.replicas or 1) > 1 and not self._is_cluster():
            warnings.warn(
                f"{self.location} is no cluster: there will be one copy, not {self.layout.replicas}",
                ServerWarning,
                stacklevel=2,
            )
        for field in INDEXED:
            call(client.create_payload_index, physical, field, models.PayloadSchemaType.KEYWORD, wait=True)
        self._cards.write(physical, metadata)
        return physical

    def _is_cluster(self) -> bool:
        status = self.server.call(self.server.client.http.distributed_api.cluster_status).result
        return getattr(status, "status", "") == "enabled"

    def _put_in_place(self, name: str, physical: str) -> None:
        """Make `name` stand for `physical`, instead of what it stood for."""
        if name in self._physical():
            # One that came by Qdrant's own means, under its own name: no alias can stand beside it.
            self._drop(name)
        create = models.CreateAlias(collection_name=physical, alias_name=name)
        self._alias(models.CreateAliasOperation(create_alias=create))

    def _alias(self, *operations: Any) -> None:
        self.server.call(self.server.client.update_collection_aliases, list(operations))

    def _drop_unnamed(self, physical: str) -> None:
        """Remove a collection, unless it has another name too."""
        if physical not in self._aliases().values():
            self._drop(physical)

    def _drop(self, physical: str) -> None:
        self.server.call(self.server.client.delete_collection, physical)
        self._cards.remove(physical)


def _vectors(described: models.CollectionInfo) -> str:
    """Say what kind of vectors a collection holds."""
    vectors = described.config.params.vectors
    if isinstance(vectors, models.VectorParams):
        return f"vectors of {vectors.size} values by {vectors.distance.value} distance"
    return f"named vectors: {', '.join(vectors)}" if vectors else "no vectors"
