"""The two workers of an ingest on many machines: one reads and decodes, one encodes and stores.

In: rows of parcels. Out: rows of parcels that are read, and of what became of them. Each worker is an actor of Ray's
that stays for the whole ingest, with a connection to the server, and a decoder's process or an encoder. Whatever it
was doing when it died is done again by another: points have deterministic ids, and what is stored is found stored.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cbir.collection.interface import Collection
from cbir.core.errors import CbirError
from cbir.ingest.decode import Decoders
from cbir.ingest.distributed.contents import StoredContents
from cbir.ingest.distributed.parcel import Done, Parcel, Trouble, packed, unpacked
from cbir.ingest.encode import encode
from cbir.ingest.read import BATCH, read
from cbir.ingest.store import new_payloads
from cbir.ingest.sync import Status
from cbir.model.bundle import Bundle, read_bundle
from cbir.model.preprocessing import Preprocessing


@dataclass(frozen=True)
class Task:
    """What all workers of an ingest know.

    Attributes
    ----------
    collection : Collection
        On a server: pickled, it opens connections of its own.
    preprocessing : Preprocessing
    roots : tuple of str
        Where the pictures are: folders and archives have to be seen by each machine.
    model : Mapping
        The files of the bundle, by name.
    made : Mapping
        `cbir.ingest.read.key` of pictures to what learning the encoder made of them.
    damaged, illegible : frozenset of str
        Ids of points to store again, and of those whose payloads are not to be trusted.
    threads : int
        Of an encoder; 0: all cores, or a GPU.
    cbir : str
        The driver's version.
    """

    collection: Collection
    preprocessing: Preprocessing
    roots: tuple[str, ...]
    model: Mapping[str, bytes] = field(repr=False)
    made: Mapping[str, Any] = field(repr=False)
    damaged: frozenset[str] = frozenset()
    illegible: frozenset[str] = frozenset()
    threads: int = 1
    cbir: str = field(default_factory=lambda: version("cbir"))

    def trouble(self) -> str:
        """Return why this machine cannot do it; empty if it can."""
        if self.cbir != version("cbir"):
            return f"{_node()} has cbir {version('cbir')}, and this machine {self.cbir}: install the same on both"
        folders = (root for root in self.roots if "://" not in root)
        missing = next((root for root in folders if not os.path.exists(root)), None)  # noqa: PTH110 - never raises
        if missing is not None:
            return f"{_node()} does not see {missing}: mount it there under the same path"
        return ""


class Reader:
    """Reads files, asks which contents are new, and decodes these.

    Parameters
    ----------
    task : Task or ObjectRef
    """

    def __init__(self, task: Any) -> None:
        self._task = _received(task)
        self._trouble = self._task.trouble()
        # Ray counts a core for each reader, and a decoder that crashes must not take the reader with it.
        os.environ["CBIR_PROCESSES"] = "1"
        self._decoders = Decoders()

    def __call__(self, rows: Mapping[str, Any]) -> Iterator[dict[str, list[bytes]]]:
        """Yield what was read of each parcel, a batch a row."""
        for parcel in unpacked(rows):
            if self._trouble:
                yield packed([Trouble(self._trouble)])
                return
            try:
                yield from (packed([read]) for read in self._read(parcel))
            except CbirError as error:
                yield packed([Trouble(f"{error} (on {_node()})")])

    def _read(self, parcel: Parcel) -> Iterator[Parcel]:
        task = self._task
        contents = StoredContents(task.collection, task.damaged)
        work = ((item, Status.READ) for item in parcel.items)
        batches = read(work, task.preprocessing, contents, task.made, decoders=self._decoders, chunk=BATCH)
        with closing(batches):
            for batch in batches:
                yield parcel.read(batch)


class Storer:
    """Encodes what was read, and stores it.

    Parameters
    ----------
    task : Task or ObjectRef
    """

    def __init__(self, task: Any) -> None:
        self._task = _received(task)
        self._trouble = ""
        try:
            with TemporaryDirectory(prefix="cbir-") as folder:
                for name, content in self._task.model.items():
                    Path(folder, name).write_bytes(content)
                self._encoder = read_bundle(Path(folder)).encoder(threads=self._task.threads)
        except (CbirError, OSError) as error:
            self._trouble = f"{_node()} cannot load the encoder: {error}"

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, list[bytes]]:
        """Return what became of each row."""
        if self._trouble:
            return packed([Trouble(self._trouble)])
        return packed([each if isinstance(each, Trouble) else self._done(each) for each in unpacked(rows)])

    def _done(self, parcel: Parcel) -> Done | Trouble:
        task = self._task
        try:
            (encoded,) = encode([parcel.batch], self._encoder)
            again = [each for each in encoded.ids if each in task.damaged and each not in task.illegible]
            replaced = task.collection.payloads(again) if again else {}
            before = [parcel.before.get(fresh.item.place) for fresh in encoded.batch.fresh]
            clock = time.perf_counter()
            if encoded.ids:
                task.collection.upsert(encoded.ids, encoded.features, new_payloads(encoded, before, replaced))
            return Done.of(parcel, encoded, time.perf_counter() - clock)
        except CbirError as error:
            return Trouble(f"{error} (on {_node()})")


def model_files(bundle: Bundle) -> dict[str, bytes]:
    """Return what a machine needs of a bundle, by name."""
    names = ["model.json", bundle.metadata.get("runs", "encoder.onnx")]
    return {name: (bundle.path / name).read_bytes() for name in names}


def _received(task: Any) -> Task:
    """Return what a reference refers to, or the task itself."""
    if isinstance(task, Task):
        return task
    import ray

    return ray.get(task)


def _node() -> str:
    """Return what a message calls this machine."""
    import ray

    return f"node {socket.gethostname()} ({ray.util.get_node_ip_address()})"
