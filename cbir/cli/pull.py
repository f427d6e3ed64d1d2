"""`cbir pull`: a server's collection into CBIR_HOME."""

import cbir
from cbir import documents
from cbir.cli.output import print_json
from cbir.cli.parameters import AsJson, CollectionArgument, Index, OnDisk, QdrantUrl, Quantization
from cbir.cli.push import print_transfer
from cbir.cli.terminal import bars


def pull(
    collection: CollectionArgument = None,
    qdrant_url: QdrantUrl = None,
    index: Index = None,
    quantization: Quantization = None,
    on_disk: OnDisk = None,
    json_: AsJson = False,
) -> None:
    """Copy a Qdrant server's collection into CBIR_HOME; run again to continue or to update the copy."""
    with bars() as progress:
        copied = cbir.pull(
            collection,
            qdrant_url=qdrant_url,
            index=index,
            quantization=quantization,
            on_disk=on_disk,
            progress=progress,
        )
    if json_:
        print_json(documents.transfer(copied))
    else:
        print_transfer(copied)
