"""The text tower of a network of the hub: words become features that lie among those of its pictures.

In: what model.json says about it. Out: a `TextEncoder`. Files are fetched when the first text is encoded.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cbir.core.atomic import write_atomic
from cbir.core.digest import has_sha256
from cbir.core.errors import first_line, warn_caller
from cbir.core.extras import to_install
from cbir.core.progress import Progress, silent
from cbir.model.errors import ModelError
from cbir.model.pretrained.hub import HubFile, fetch, networks_cache, notes
from cbir.model.pretrained.onnx_reading import read_onnx
from cbir.model.pretrained.tower import cut

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Tokens of a text: a file from elsewhere does not decide how much memory is taken.
_MAX_CONTEXT = 4096
#: Raised when text towers are cut out, or graphs are checked, in another way: what was made before is made again.
_WAY = 1
#: Texts encoded at once.
_BLOCK = 64


@dataclass(frozen=True)
class Words:
    """How a network encodes words; all of it stands in model.json.

    Attributes
    ----------
    graph : HubFile
        From tokens' numbers to features.
    tokenizer : HubFile
        A `tokenizer.json`.
    context : int
        Tokens that the network reads: longer texts are cut off, shorter ones filled up.
    padding : int
        The number of the token that fills up.
    lower : bool
        Texts are written in small letters.
    output : str
        The graph's output that is the feature; by default its first.
    shared : bool
        The graph encodes pictures too: the text tower is cut out of it.
    """

    graph: HubFile
    tokenizer: HubFile
    context: int
    padding: int
    lower: bool = False
    output: str = ""
    shared: bool = False

    def __post_init__(self) -> None:
        numbers = type(self.context) is int and type(self.padding) is int
        if not numbers or not 1 <= self.context <= _MAX_CONTEXT or not 0 <= self.padding < 2**31:
            raise ModelError(f"no text tower reads {self.context!r} tokens, filled up with {self.padding!r}")

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """Read what `asdict` wrote; ModelError if it is anything else, or says what only a newer version knows."""
        try:
            files = {key: described[key] for key in ("graph", "tokenizer")}
            known = {field.name for kind in (cls, HubFile) for field in fields(kind)}
            unknown = {key for said in (described, *files.values()) for key in said} - known
            if not unknown:
                return cls(**{**described, **{key: HubFile(**file) for key, file in files.items()}})
        except (TypeError, KeyError) as error:
            raise ModelError(f"what model.json says about the text tower cannot be read: {error}") from None
        raise ModelError(
            f"what model.json says about the text tower, {', '.join(sorted(unknown))}, is unknown to this cbir: "
            "upgrade cbir to search by words"
        )


class TextTower:
    """Encodes texts; threads may share it. See `cbir.model.words.TextEncoder`.

    Parameters
    ----------
    words : Words
    dimension : int
        Values in a picture's feature, and so in a text's.
    owner : str
        What needs the files, for messages: `encoder 'clip'`.
    progress : Progress
        Stage `download`, when the first text is encoded.
    """

    def __init__(self, words: Words, dimension: int, owner: str, progress: Progress = silent) -> None:
        self._words = words
        self._dimension = dimension
        self._owner = owner
        self._progress = progress
        self._lock = threading.Lock()
        self._loaded: Callable[[Sequence[str]], np.ndarray] | None = None

    @property
    def dimension(self) -> int:
        """Values in a feature."""
        return self._dimension

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Turn texts into features, (n, d) float32, L2-normalised.

        Raises
        ------
        ModelError
            The files cannot be fetched or are damaged, the package `tokenizers` is missing, or a feature is not finite.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            encode = self._loaded
        features = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _BLOCK):
            made = encode(texts[start : start + _BLOCK])
            if made.shape[-1] != self.dimension:
                raise ModelError(f"the text tower of {self._owner} makes {made.shape[1]} values, not {self.dimension}")
            features[start : start + _BLOCK] = made
        if not np.isfinite(features).all():
            raise ModelError(f"the text tower of {self._owner} gave NaN or infinite features")
        return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.float32(1e-12))

    def _load(self) -> Callable[[Sequence[str]], np.ndarray]:
        tokenizer_of = _tokenizers()
        words = self._words
        tower = self._cut_before()
        needed = [words.tokenizer] if tower else [words.tokenizer, words.graph]
        tokens, *graph = fetch(needed, f"the text tower of {self._owner}", progress=self._progress)
        tokenizer = tokenizer_of(tokens, words)
        session = _session(tower or self._checked(*graph), words.output)

        def encode(texts: Sequence[str]) -> np.ndarray:
            read = tokenizer.encode_batch([text.lower() if words.lower else text for text in texts])
            if longer := [text for text, each in zip(texts, read, strict=True) if each.overflowing]:
                warn_caller(
                    f"{self._owner} reads {words.context} tokens of a text: the end of '{longer[0]}' is left out"
                )
            return session(
                {
                    "input_ids": np.array([each.ids for each in read]),
                    "attention_mask": np.array([each.attention_mask for each in read]),
                    "position_ids": np.tile(np.arange(words.context), (len(read), 1)),
                    "token_type_ids": np.zeros((len(read), words.context), np.int64),
                }
            )

        return encode

    @property
    def _place(self) -> Path:
        """Where a text tower is kept that was cut out of a graph that encodes pictures too."""
        name = hashlib.sha256(f"{self._words.graph.sha256} {self._words.output} {_WAY}".encode()).hexdigest()
        return networks_cache() / "towers" / f"{name[:16]}.onnx"

    def _cut_before(self) -> Path | None:
        """Return the text tower that was cut out before; None if there is none, or another file is there."""
        known = self._place.with_suffix(".sha256")
        if not self._words.shared or not known.is_file():
            return None
        return self._place if has_sha256(self._place, known.read_text(encoding="utf-8"), notes()) else None

    def _checked(self, graph: Path) -> Path:
        """Return a graph that encodes words and was checked, as any from elsewhere; this takes seconds, so once."""
        if not self._words.shared:
            checked = networks_cache() / "checked" / f"{self._words.graph.sha256}.{_WAY}"
            if not checked.is_file():
                read_onnx(graph)
                _write({checked: b""})
            return graph
        content = _cut_out(graph, self._words.output)
        place = self._place
        _write({place: content, place.with_suffix(".sha256"): hashlib.sha256(content).hexdigest().encode()})
        return place


def _tokenizers() -> "Callable[[Path, Words], Tokenizer]":
    """Return what reads a tokenizer; the package is asked for before anything is fetched."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ModelError(f"to search by words, install the extra 'words': {to_install('words')}") from None

    def read(path: Path, words: Words) -> "Tokenizer":
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - tokenizers raises plain exceptions
            raise ModelError(f"{path} is no tokenizer: {first_line(error)}") from None
        tokenizer.enable_truncation(words.context)
        tokenizer.enable_padding(length=words.context, pad_id=words.padding)
        return tokenizer

    return read


def _session(path: Path, output: str) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Load a graph of several inputs; what it does not take is left out."""
    from cbir.model.graph import run_session, session_of

    session = session_of(path, str(path), 1)
    kinds = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
    name = output or session.get_outputs()[0].name

    def run(given: Mapping[str, np.ndarray]) -> np.ndarray:
        try:
            taken = {each.name: given[each.name].astype(kinds[each.type]) for each in session.get_inputs()}
            return run_session(session, name, taken)
        except KeyError as error:
            raise ModelError(f"{path} takes {error}, and so is no text tower that cbir can run") from None
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class
            raise ModelError(f"{path} cannot be run: {first_line(error)}") from None

    return run


def _cut_out(path: Path, output: str) -> bytes:
    """Cut the text tower out of a graph that has both."""
    model = read_onnx(path)
    try:
        cut(model, output)
    except ModelError as error:
        raise ModelError(f"{path} has no text tower: {error}") from None
    return bytes(model.SerializeToString())


def _write(contents: Mapping[Path, bytes]) -> None:
    """Write files in their order, each completely or not at all."""
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
        except OSError as error:
            raise ModelError(f"{path.parent} cannot be written to: {error.strerror or error}") from error
