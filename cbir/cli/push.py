"""`cbir push`: an embedded collection to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbir
from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import (
    AsJson,
    CollectionArgument,
    Index,
    OnDisk,
    QdrantUrl,
    Quantization,
    Replicas,
    Shards,
)
from cbir.cli.terminal import bars, line

if TYPE_CHECKING:
    from cbir.collection.transfer import Transferred


def push(
    collection: CollectionArgument = None,
    qdrant_url: QdrantUrl = None,
    index: Index = None,
    quantization: Quantization = None,
    on_disk: OnDisk = None,
    shards: Shards = None,
    replicas: Replicas = None,
    json_: AsJson = False,
) -> None:
    """Copy an embedded collection to a Qdrant server; run again to continue or to update the copy."""
    with bars() as progress:
        copied = cbir.push(
            collection,
            qdrant_url=qdrant_url,
            index=index,
            quantization=quantization,
            on_disk=on_disk,
            shards=shards,
            replicas=replicas,
            progress=progress,
        )
    if json_:
        print_json(documents.transfer(copied))
    else:
        print_transfer(copied)


def print_transfer(copied: Transferred) -> None:
    """Print what was copied, from where to where, and what was checked."""
    line(f"from        {copied.source}")
    line(f"to          {copied.target}")
    line(f"collection  {copied.collection}: {copied.copied:,} points copied, {copied.unchanged:,} were there already")
    line(f"checked     {copied.points:,} points counted, {copied.compared:,} vectors compared")
    if copied.more:
        line(f"            {copied.more:,} points of the target are not in the source; they stay")
