"""What is said of a collection that cannot be searched by words.

In: the collection, and its model, which has no text tower. Out: a message with the command to type.
"""

import shlex

from cbir.collection.metadata import Metadata
from cbir.model import registry
from cbir.model.bundle import Bundle


def refusal(name: str, metadata: Metadata, bundle: Bundle) -> str:
    """Say that a collection's encoder has no text tower, and which encoders have one (which imports them all)."""
    able = [kind for kind in registry.encoders() if kind.words]
    said = f"collection '{name}' cannot be searched by words: its encoder, {bundle.kind}, does not understand them"
    if not able:
        return said
    first = able[0]
    source = metadata.place(metadata.sources[0]) if len(metadata.sources) == 1 else "SOURCE"
    command = shlex.join(["cbir", "ingest", source, "--encoder", first.name, "--collection", f"{name}-{first.name}"])
    names = ", ".join(kind.name for kind in able)
    download = f" (which downloads {first.download / 1e6:.0f} MB)" if first.download else ""
    return f"{said} (those that do: {names}); type{download}: {command}"
