"""The encoders that a comparison takes, each with its recipe and a collection of its own.

In: encoders in text form, such as `pca:values=32` or `net.onnx`. Out: an `Entrant` each.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cbir.core.disk import expanded
from cbir.core.errors import CbirError
from cbir.core.names import made_name
from cbir.core.options import spell, spelled
from cbir.evaluate.labels import tell_apart
from cbir.ingest.sources.catalogue import collection_name
from cbir.ingest.sources.source import Source
from cbir.model.kind import Kind
from cbir.model.pretrained.onnx_kind import kind_of_file
from cbir.model.registry import encoders, parse_encoder


@dataclass(frozen=True)
class Entrant:
    """An encoder and its recipe; `label` is its text form as the user wrote it."""

    label: str
    kind: Kind
    recipe: Any

    @property
    def non_defaults(self) -> dict[str, Any]:
        """The options that are not at their defaults."""
        return self.kind.non_defaults(asdict(self.recipe))

    def collection(self, source: Source, limit: int | None) -> str:
        """Return the collection's name: SOURCE-ENCODER and all non-defaults, such as `mnist-autoencoder-seed-1`."""
        chosen = {**({} if limit is None else {"limit": limit}), **self.non_defaults}
        words = [f"{spelled(option)}-{value}" for option, value in chosen.items()]
        ending = "-".join(["", self.kind.name, *words])
        return made_name(collection_name(str(source)), room=len(ending)) + ending

    def advice(self, source: Source, limit: int | None) -> str:
        """Say how the collection is rebuilt."""
        if _is_file(self.label):
            return "remove it (cbir info says where it is), and compare again"
        encoder = spell(self.kind.name, self.non_defaults)
        words = ["cbir", "ingest", str(source), "--collection", self.collection(source, limit), "--encoder", encoder]
        limited = [] if limit is None else ["--limit", str(limit)]
        return f"rebuild it: {shlex.join([*words, *limited, '--smooth', '0', '--retrain'])}"


class UnlabelledError(CbirError):
    """A source without labels, or with the same for all, whose encoders are to be compared by them."""


def entrants(
    source: Source, texts: Sequence[str], options: Mapping[str, Any], *, by_labels: bool = True
) -> list[Entrant]:
    """Return encoders with their recipes.

    Parameters
    ----------
    source : Source
    texts : sequence of str
        Encoders in text form, or ONNX files; if empty, all that the source allows and that need no download.
    options : Mapping
        For all encoders that have them; those that are None do not count.
    by_labels : bool
        What they are compared by.

    Raises
    ------
    CbirError
        An option that none of the encoders has.
    UnlabelledError
        The source has no labels, and they are to be compared by those.
    ModelError, OptionError
        No such encoder, or an option that it does not have.
    """
    if by_labels and not tell_apart(item.label for item in source.items()):
        raise UnlabelledError(
            f"{source} has no labels that tell pictures apart; put the pictures into one folder per class. "
            "Edited copies of the pictures need no labels: cbir.compare_copies"
        )
    if not texts:
        labels = {item.label for item in source.items()}
        learnable = None not in labels and bool(source.queries())
        usable = [kind for kind in encoders() if kind.self_contained]
        texts = [kind.name for kind in usable if kind.learns_from != "labels" or learnable]
    given = {option: value for option, value in options.items() if value is not None}
    found = []
    used = {"seed"}
    for text in dict.fromkeys(texts):
        if _is_file(text):
            found.append(Entrant(text, *kind_of_file(expanded(text))))
            continue
        kind, _ = parse_encoder(text)
        shared = {option: value for option, value in given.items() if option in kind.options}
        used |= shared.keys()
        found.append(Entrant(text, *parse_encoder(text, shared)))
    for option in given:
        if option not in used:
            raise CbirError(f"none of these encoders has an option '{spelled(option)}'")
    return found


def _is_file(text: str) -> bool:
    """Tell whether an encoder is named by its file, and not by its name."""
    return text.lower().endswith(".onnx")
