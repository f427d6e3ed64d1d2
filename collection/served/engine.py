"""Collections on a Qdrant server.

Collection NAME is an alias of Qdrant's. The physical collection behind it, which holds the points, is NAME@1. A
replacement is filled beside it as NAME@2, and takes its place when the alias is moved, which Qdrant does atomically.
Other tools use NAME as if it were the collection. No collection is deleted that an alias names, or that another process
may still be filling.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cbir.collection.archive import is_archive
from cbir.collection.checks import validated_name
from cbir.collection.errors import (
    CollectionBusyError,
    CollectionError,
    NewerFormatError,
    UnreadableError,
    already_exists,
    no_such_collection,
)
from cbir.collection.fields import indexes_from_start
from cbir.collection.interface import Info
from cbir.collection.layout import Layout
from cbir.collection.lock import filling
from cbir.collection.metadata import Metadata
from cbir.collection.served.cards import RESERVED, MetadataStore
from cbir.collection.served.late import ServerWarning
from cbir.collection.served.listing import all_metadata
from cbir.collection.served.points import ServedCollection
from cbir.collection.served.reader import Described
from cbir.collection.served.server import RefusedError, Server
from cbir.collection.served.settings import settings
from cbir.collection.unpack import read_archive
from cbir.core.names import folded, is_part_of_path, normalized, same_name
from cbir.core.progress import Progress, silent

_CONFLICT = 409
_TURBO_SINCE = (1, 18)

#: Names that Qdrant accepts: ours, and other tools'. What a terminal gives that is not UTF-8 is no name.
_QDRANT_NAME = re.compile(r'[^<>:"/\\|?*\0\x1f\ud800-\udfff]{1,255}')

#: How the physical collections behind a name end.
_VERSION = re.compile(r"@[1-9]\d*$")


class ServedEngine:
    """Collections of a server.

    Parameters
    ----------
    server : Server
    locks : Path
        Folder of this machine for the locks on filling a collection.
    layout : Layout, optional
        For collections made here.
    store : MetadataStore, optional
        Where metadata are stored; by default as the server's version requires.
    """

    def __init__(
        self, server: Server, locks: Path, *, layout: Layout | None = None, store: MetadataStore | None = None
    ) -> None:
        self.server = server
        self.layout = layout or Layout()
        self._locks = locks
        self._store = store or MetadataStore(server)
        # Indexing thresholds as they were before they were set to 0, by physical collection.
        self._thresholds: dict[str, int] = {}

    @property
    def location(self) -> str:
        """The server's URL."""
        return self.server.location

    @property
    def locks(self) -> Path:
        """The folder of this machine for the locks on this server's collections."""
        return self._locks / re.sub(r"[^\w.\-]+", "-", self.location)

    def names(self) -> list[str]:
        """Return the names of the collections that cbir filled, sorted."""
        return sorted(self.all_metadata())

    def all_metadata(self) -> dict[str, Metadata | CollectionError]:
        """Read the metadata of all collections that cbir filled, in a few requests."""
        stored, aliases = all_metadata(self.server), self._aliases()
        if not stored.keys() >= set(aliases.values()):
            stored |= all_metadata(self.server)  # replaced between the two requests
        unread = {physical: found for physical, found in stored.items() if isinstance(found, RefusedError)}
        read = unread | self._store.of_all({name: m for name, m in stored.items() if not isinstance(m, RefusedError)})
        names = {name: name for name in stored if "@" not in name and name != RESERVED} | aliases
        return {
            name: read[physical]
            for name, physical in sorted(names.items())
            # One that cannot be read now must not hide the others; only what it is called tells whether it is ours.
            if physical in read and (not isinstance(read[physical], RefusedError) or physical.startswith(f"{name}@"))
        }

    def exists(self, name: str) -> bool:
        """Tell whether there is a collection of this name that cbir filled."""
        if not _QDRANT_NAME.fullmatch(name):
            return False
        aliases = self._aliases()
        name = self._spelled(name, aliases)
        physical = aliases.get(name)
        if physical is None and ("@" in name or name == RESERVED):
            return False
        described = self._described(physical or name)
        return described is not None and self._has_metadata(physical or name, described)

    def spelled(self, name: str) -> str:
        """Return a name as the collection has it, or as a new one will."""
        return self._spelled(name, self._aliases())

    def metadata(self, name: str) -> Metadata:
        """Read a collection's metadata."""
        return self._found(name)[2]

    def open(self, name: str) -> ServedCollection:
        """Open the collection that the name stands for now, even if it is replaced later."""
        return self._opened(*self._found(name))

    def encode(self, name: str, fingerprint: str, pixels: object) -> None:
        """Encode nothing: a Qdrant server does not."""

    def encode_words(self, name: str, fingerprint: str, texts: object) -> None:
        """Encode nothing, as `encode`."""

    def info(self, name: str) -> Info:
        """Return a collection's sizes; a server does not report bytes on disk."""
        with contextlib.closing(self.open(name)) as opened:
            return opened.info()

    def create(self, name: str, metadata: Metadata) -> ServedCollection:
        """Make an empty collection."""
        name = self._free(name)
        physical = self._created(name, metadata)
        self._put_in_place(name, physical)
        return self._opened(name, physical, metadata)

    @contextlib.contextmanager
    def replacement(self, name: str, metadata: Metadata) -> Iterator[ServedCollection]:
        """Yield an empty collection that takes the place of `name`, if there is one, when the block succeeds."""
        name, _ = self._ours_or_none(name)
        physical = self._created(name, metadata)
        with self._dropped_unless_named(name, physical):
            yield self._opened(name, physical, metadata)
            self._ours_or_none(name)  # again: hours may have passed
            before = self._aliases().get(name)
            self._put_in_place(name, physical)
        if before is not None:
            self._drop_unnamed(before)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Lock `name` for filling, among the processes of this machine; RefusedError for a key that may only read."""
        safe = name if is_part_of_path(name) else validated_name(name)
        with filling(self.locks / f"{folded(safe)}.lock", name):
            self._alias()  # changes nothing, and is refused as any change: better now than after an encoder has learned
            yield

    def delete(self, name: str) -> None:
        """Remove a collection and all its points."""
        name, physical, *_ = self._found(name)
        if physical != name:
            from qdrant_client import models

            delete = models.DeleteAlias(alias_name=name)
            self._alias(models.DeleteAliasOperation(delete_alias=delete))
        self._drop_unnamed(physical)

    def other_names(self, name: str) -> list[str]:
        """Return the other aliases of a collection's points."""
        name, physical, *_ = self._found(name)
        return sorted(alias for alias, named in self._aliases().items() if named == physical and alias != name)

    def unnamed(self) -> list[str]:
        """Return the physical collections that no alias names: being filled, or left by a process that was stopped."""
        named = set(self._aliases().values())
        return sorted(name for name in self._physical() if _VERSION.search(name) and name not in named)

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self.server.close()

    def snapshot(self, name: str, path: Path, progress: Progress = silent) -> None:
        """Write Qdrant's own snapshot of a collection into a file."""
        from cbir.collection.served.snapshots import download

        self._check_snapshots()
        download(self.server, self._found(name)[1], path, progress)

    def restore(self, path: Path, name: str, progress: Progress = silent) -> None:
        """Make collection `name` from a snapshot of Qdrant's, or from an archive of cbir's."""
        from cbir.collection.served.snapshots import upload

        if is_archive(path):
            read_archive(path, self, name, progress)
            return
        self._check_snapshots()
        name = self._free(name)
        physical = self._next(name)
        with self._dropped_unless_named(name, physical):
            upload(self.server, physical, path, progress)
            described = self._described(physical)
            if described is None or not self._has_metadata(physical, described, newer=False):
                raise CollectionError(f"{path} is a snapshot of a collection that cbir did not fill")
            self._put_in_place(name, physical)

    def _check_snapshots(self) -> None:
        if self._store.reserved:
            raise CollectionError(
                f"Qdrant before 1.16, as at {self.location}, stores no metadata in its snapshots; "
                "copy the collection to this machine with cbir pull, and make the snapshot here"
            )

    @contextlib.contextmanager
    def _dropped_unless_named(self, name: str, physical: str) -> Iterator[None]:
        """If the block fails, remove the physical collection it made, unless `name` stands for it, or may do so."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(CollectionError):
                if self._aliases().get(name) != physical:
                    self._drop(physical)
            raise

    def _opened(self, name: str, physical: str, metadata: Metadata, indexed: int = 0) -> ServedCollection:
        return ServedCollection(self.server, self._store, name, physical, metadata, self._thresholds, indexed)

    def _found(self, name: str) -> tuple[str, str, Metadata, int]:
        """Return a name as the collection has it, what is behind it, its metadata, and how many points are indexed."""
        if not _QDRANT_NAME.fullmatch(name):
            raise no_such_collection(name, self.location, self.names())
        aliases = self._aliases()
        name = self._spelled(name, aliases)
        physical = aliases.get(name, name)
        while (described := self._described(physical)) is None:
            now = self._aliases().get(name, name)
            if now == physical:
                raise no_such_collection(name, self.location, self.names())
            physical = now  # replaced between the two requests
        metadata = self._store.of(physical, described)
        if metadata is None:
            raise self._foreign(name, described)
        vectors = described.vectors
        if (vectors.get("size"), vectors.get("distance")) != (metadata.dimension, "Euclid"):
            raise CollectionError(
                f"collection '{name}' at {self.location} holds {described.vectors_in_words}, but its metadata say "
                f"{metadata.dimension} values by Euclidean distance; another tool has changed it: "
                f"ingest into another --collection"
            )
        return name, physical, metadata, described.indexed

    def _spelled(self, name: str, aliases: Mapping[str, str]) -> str:
        """Return a name as a collection has it, whose case or Unicode form may be another, or as a new one will."""
        if name in aliases:
            return name
        direct = (physical for physical in self._physical() if "@" not in physical and physical != RESERVED)
        return same_name(name, (*aliases, *direct)) or normalized(name)

    def _has_metadata(self, physical: str, described: Described, *, newer: bool = True) -> bool:
        """Tell whether a collection has metadata of cbir's; unless `newer`, raise why they cannot be read now."""
        try:
            return self._store.of(physical, described) is not None
        except (NewerFormatError, UnreadableError):
            if newer:
                return True
            raise
        except CollectionError:
            return True  # damaged, which is an error when it is opened

    def _described(self, physical: str) -> Described | None:
        """Return what Qdrant knows of a collection; None if there is none."""
        return self.server.call(self.server.reader.describe, physical)

    def _physical(self) -> list[str]:
        """Return the names of all physical collections on the server."""
        return self.server.call(self.server.reader.names)

    def _aliases(self) -> dict[str, str]:
        """Return each alias with the physical collection that it names."""
        return self.server.call(self.server.reader.aliases)

    def _free(self, name: str) -> str:
        """Return the name of a new collection; CollectionError if there is one."""
        name, exists = self._ours_or_none(name)
        if exists:
            raise already_exists(name)
        return name

    def _ours_or_none(self, name: str) -> tuple[str, bool]:
        """Refuse another tool's collection of this name, or a newer cbir's; return its name, and whether it exists."""
        aliases = self._aliases()
        name = self._spelled(name, aliases)
        physical = aliases.get(name, name)
        described = self._described(physical) if _QDRANT_NAME.fullmatch(physical) else None
        if described is None:
            return validated_name(name), False
        if not self._has_metadata(physical, described, newer=False):
            raise self._foreign(name, described)
        return name, True

    def _foreign(self, name: str, described: Described) -> CollectionError:
        return CollectionError(
            f"collection '{name}' at {self.location} was not filled by cbir (it holds {described.vectors_in_words}); "
            "name another with --collection"
        )

    def _next(self, name: str) -> str:
        """Return the next physical name behind `name`."""
        named = set(self._aliases().values())
        versions = {0}
        for physical in self._physical():
            base, _, version = physical.rpartition("@")
            if folded(base) != folded(name) or not version.isdecimal():  # the server's disk may ignore case
                continue
            versions.add(int(version))
            if physical not in named:
                warnings.warn(
                    f"'{physical}' at {self.location} has no alias: another process is filling it, or was stopped "
                    f"while it did; if it was stopped, delete '{physical}' with Qdrant's own interface",
                    ServerWarning,
                    stacklevel=2,
                )
        return f"{name}@{max(versions) + 1}"

    def _created(self, name: str, metadata: Metadata) -> str:
        """Make an empty physical collection for `name`, and return what it is called."""
        if self.layout.quantization == "turbo" and self.server.version < _TURBO_SINCE:
            raise CollectionError(f"--quantization turbo needs Qdrant 1.18 or newer at {self.location}")
        from qdrant_client import models

        physical = self._next(name)
        client, call = self.server.client, self.server.call
        vectors = models.VectorParams(
            size=metadata.dimension, distance=models.Distance.EUCLID, on_disk=self.layout.on_disk or None
        )
        tries = 0

        def create() -> None:
            nonlocal tries
            tries += 1
            client.create_collection(physical, vectors_config=vectors, **settings(self.layout))

        try:
            call(create)
        except RefusedError as error:
            if error.status != _CONFLICT and "already exists" not in str(error):
                raise
            if tries == 1:
                raise CollectionBusyError(
                    f"another process is making collection '{name}' at {self.location}; wait until it ends"
                ) from error
            # Otherwise our own first try made it, and its answer was lost.
        if (self.layout.replicas or 1) > 1 and not self._is_cluster():
            warnings.warn(
                f"{self.location} is not a cluster: it stores one copy, not {self.layout.replicas}",
                ServerWarning,
                stacklevel=2,
            )
        # Before the first point, so that the HNSW graph takes filters by these fields into account.
        for field, kind in indexes_from_start().items():
            call(client.create_payload_index, physical, field, models.PayloadSchemaType(kind), wait=True)
        self._store.write(physical, metadata)
        return physical

    def _is_cluster(self) -> bool:
        status = self.server.call(self.server.client.http.distributed_api.cluster_status).result
        return getattr(status, "status", "") == "enabled"

    def _put_in_place(self, name: str, physical: str) -> None:
        """Make `name` stand for `physical`, instead of what it stood for."""
        if name in self._physical():
            # A physical collection of this name, such as Qdrant restored: no alias can have the same name.
            self._drop(name)
        from qdrant_client import models

        create = models.CreateAlias(collection_name=physical, alias_name=name)
        self._alias(models.CreateAliasOperation(create_alias=create))

    def _alias(self, *operations: Any) -> None:
        self.server.call(self.server.client.update_collection_aliases, list(operations))

    def _drop_unnamed(self, physical: str) -> None:
        """Remove a physical collection, unless an alias names it."""
        if physical not in self._aliases().values():
            self._drop(physical)

    def _drop(self, physical: str) -> None:
        self.server.call(self.server.client.delete_collection, physical)
        self._store.remove(physical)
