"""A model on disk: a folder that is either complete or absent.

It holds what runs (`encoder.onnx` of a network, `encoder.npz` of a classical
encoder), a trained network in Keras's format (`autoencoder.keras`: to train on,
denoise, share), the same as a graph if it restores pictures (`autoencoder.onnx`)
and `model.json` (what it is, what it was trained on and how). It
is written to a temporary folder beside its place, which is then renamed.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from cbir.core.atomic import atomic_folder
from cbir.core.digest import sha256_of
from cbir.core.disk import remedy
from cbir.core.errors import first_line
from cbir.core.progress import Progress, silent
from cbir.core.stored import a_list, a_number, a_text, a_whole_number, an_object, read_object, required
from cbir.model.encoder import Encoder
from cbir.model.errors import ModelError
from cbir.model.graph import graph
from cbir.model.method import Inference, Learned
from cbir.model.preprocessing import Preprocessing
from cbir.model.registry import kind_of
from cbir.model.restoring import RESTORING
from cbir.model.words import TextEncoder

if TYPE_CHECKING:
    from keras import Model

_KERAS, _ONNX, _ARRAYS, _METADATA = "autoencoder.keras", "encoder.onnx", "encoder.npz", "model.json"
#: What this version writes, and the highest that it reads; a change that older versions would misread raises it.
_FORMAT = 1
#: The encoder of bundles that are older than the registry, and of Keras files from elsewhere.
_ADOPTED = "autoencoder"


@dataclass(frozen=True)
class Bundle:
    """One model folder.

    Attributes
    ----------
    path : Path
    kind : str
        The encoder's name in the registry.
    fingerprint : str
    dimension : int
        Values in a feature.
    preprocessing : Preprocessing
    metadata : Mapping
        All of `model.json`.
    """

    path: Path
    kind: str
    fingerprint: str
    dimension: int
    preprocessing: Preprocessing
    metadata: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def encoder(self, *, threads: int = 0) -> Encoder:
        """Load the encoder; a network's graph runs on `threads` threads (0: one a core).

        Raises
        ------
        ModelError
            If its file is missing or is not the one this bundle was written with.
        """
        file = self.path / self.metadata.get("runs", _ONNX)
        if not file.is_file() or sha256_of(file) != self.metadata.get("encoder_sha256"):
            raise ModelError(f"{file} is missing or was changed; restore the bundle or train again with --retrain")
        run = graph(file, threads=threads) if file.suffix == ".onnx" else self._classical(file)
        code_bits = self.metadata.get("code_bits")
        return Encoder(run, self.preprocessing, self.fingerprint, self.dimension, code_bits)

    def loads(self) -> bool:
        """Tell whether the encoder can be loaded."""
        try:
            self.encoder(threads=1)
        except ModelError:
            return False
        return True

    def autoencoder(self) -> "Model":
        """Load the Keras model (imports Keras and its backend).

        Raises
        ------
        ModelError
            If this encoder has no decoder, or the file cannot be read.
        """
        if not self.metadata.get("denoises", True):
            raise ModelError(
                f"encoder '{self.kind}' cannot denoise: it has no decoder; "
                "use a collection made with --encoder contrastive or autoencoder"
            )
        from cbir.model.networks.export import load_keras

        return load_keras(self.path / _KERAS)

    @property
    def understands_words(self) -> bool:
        """Whether there is a text encoder, which may be one that this version cannot use."""
        return self.metadata.get("words") is not None

    def text_encoder(self, progress: Progress = silent) -> TextEncoder | None:
        """Return what encodes words as this encoder does pictures; None if it does not understand words.

        Parameters
        ----------
        progress : Progress
            Stage `download`: what is needed is fetched when the first text is encoded.

        Raises
        ------
        ModelError
            What model.json says about it is damaged, or of a newer version.
        """
        if not self.understands_words:
            return None
        from cbir.model.pretrained.towers import TextTower, Words

        return TextTower(Words.from_json(self.metadata["words"]), self.dimension, f"encoder '{self.kind}'", progress)

    def _classical(self, file: Path) -> Inference:
        method, revision = kind_of(self.kind).method, self.metadata.get("revision")
        if revision != method.REVISION:  # its features are the code's as much as the file's
            raise ModelError(
                f"{self.path} is revision {revision} of encoder '{self.kind}'; this cbir computes "
                f"revision {method.REVISION}: fill the collection anew with --retrain"
            )
        try:
            with file.open("rb") as content, np.load(content, allow_pickle=False) as stored:
                arrays = dict(stored)
            return method.run(arrays)
        except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile, zlib.error) as error:
            raise ModelError(f"{file} holds no encoder '{self.kind}' ({first_line(error)})") from None


def read_bundle(path: Path) -> Bundle:
    """Read a model folder.

    Raises
    ------
    ModelError
        Not a bundle, or a damaged one.
    """
    try:
        return _bundle(path, read_object(path / _METADATA))
    except FileNotFoundError:
        raise ModelError(
            f"{path} is not a model bundle (it has no {_METADATA}); "
            "name another, or train again: cbir ingest SOURCE --retrain"
        ) from None
    except OSError as error:
        raise ModelError(
            f"cannot read {path / _METADATA}: {error.strerror or error}; {remedy(error)}name another model with --model"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(f"{path / _METADATA} is damaged ({error}); train again with --retrain") from None


def _bundle(path: Path, metadata: dict[str, Any]) -> Bundle:
    """Make a bundle of what model.json holds; ValueError of a value that no version wrote."""
    number = a_whole_number(metadata.get("format", 1), "format", 1)
    if number > _FORMAT:
        raise ModelError(
            f"{path} was written by a newer cbir (format {number}; this one reads up to {_FORMAT}): upgrade cbir"
        )
    for name, check in _OPTIONAL.items():
        if metadata.get(name) is not None:
            check(metadata[name], name)
    if metadata.get("runs", _ONNX) not in (_ONNX, _ARRAYS):
        raise ValueError("runs is not the name of an encoder's file")
    described = metadata.get("preprocessing")
    if described is None:
        described = {"shape": required(metadata, "input_shape")}
    return Bundle(
        path=path,
        kind=a_text(metadata.get("encoder", _ADOPTED), "encoder"),
        fingerprint=a_text(required(metadata, "fingerprint"), "fingerprint"),
        dimension=a_whole_number(required(metadata, "dimension"), "dimension", 1),
        preprocessing=_preprocessing(path, an_object(described, "preprocessing")),
        metadata=metadata,
    )


def _history(value: object, name: str) -> None:
    a_list(an_object(value, name).get("loss", []), f"the loss of {name}")


def _notes(value: object, name: str) -> None:
    for note in a_list(value, name):
        a_text(note, name)


def _recipe(value: object, name: str) -> None:
    if (noise := an_object(value, name).get("noise")) is not None and a_number(noise, "noise") < 0:
        raise ValueError("noise is less than 0")


def _shape(value: object, name: str) -> None:
    for side in a_list(value, name):
        a_whole_number(side, name, 1)


def _truth(value: object, name: str) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is not true or false")


#: What else model.json may hold and is read, with the check of its type; all of it may be missing, or null.
_OPTIONAL: Mapping[str, Callable[[object, str], object]] = {
    "runs": a_text,
    "encoder_sha256": a_text,
    "code_bits": partial(a_whole_number, least=1, most=64),
    "revision": a_whole_number,
    "recipe": _recipe,
    "words": an_object,
    "denoises": _truth,
    "autoencoder_sha256": a_text,
    "code_shape": _shape,
    "trained_on": a_text,
    "training": a_text,
    "images": a_whole_number,
    "seconds": a_number,
    "history": _history,
    "notes": _notes,
}


def _preprocessing(path: Path, described: Mapping[str, Any]) -> Preprocessing:
    try:
        return Preprocessing.from_json(described)
    except ModelError as error:
        raise ModelError(f"{path} holds a model whose preprocessing cannot be done: {error}") from None


def write_bundle(
    path: Path,
    learned: Learned,
    preprocessing: Preprocessing,
    *,
    described: Mapping[str, Any] | None = None,
    trained_on: str | None = None,
    training: str | None = None,
    images: int | None = None,
    seconds: float | None = None,
) -> Bundle:
    """Write a bundle of what was learned; `path` must not exist.

    Parameters
    ----------
    path : Path
    learned : Learned
    preprocessing : Preprocessing
    described : Mapping, optional
        `encoder`, `revision` and `recipe`, from `Kind.describe`; by default an autoencoder from elsewhere.
    trained_on, training, images, seconds
        What model.json says about the training; None for a model from elsewhere.

    Returns
    -------
    Bundle
    """
    described = described or {"encoder": _ADOPTED, "recipe": None}
    with atomic_folder(path) as folder:
        if learned.network is not None:
            written = _network(folder, learned.network, preprocessing)
        elif learned.graph is not None:
            written = _graph(folder, learned.graph, preprocessing)
        else:
            written = _arrays(folder, learned, preprocessing, described)
        metadata = {
            "format": _FORMAT,
            **learned.about,
            **described,
            **written,
            "code_bits": learned.code_bits,
            "fingerprint": fingerprint_of(learned, preprocessing, described),
            "input_shape": list(preprocessing.shape),
            "preprocessing": preprocessing.describe(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "trained_on": trained_on,
            "training": training,
            "images": images,
            "seconds": None if seconds is None else round(seconds, 1),
            "history": asdict(learned.history) if learned.history else None,
            "encoder_sha256": sha256_of(folder / written["runs"]),
        }
        (folder / _METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    return read_bundle(path)


def copy_bundle(bundle: Bundle, path: Path) -> Bundle:
    """Copy a bundle to a path that does not exist yet, completely or not at all."""
    with atomic_folder(path) as folder:
        for name in (_KERAS, RESTORING, _ONNX, _ARRAYS, _METADATA):
            if (bundle.path / name).exists():
                shutil.copyfile(bundle.path / name, folder / name)
    return read_bundle(path)


def _network(folder: Path, network: "Model", preprocessing: Preprocessing) -> dict[str, Any]:
    from cbir.model.networks.export import code_shape_of, encoder_of, write_onnx

    encoder = encoder_of(network)
    network.save(folder / _KERAS)
    write_onnx(encoder, folder / _ONNX)
    restores = tuple(network.output_shape[1:]) == preprocessing.shape
    if restores:
        write_onnx(network, folder / RESTORING)
    return {
        "runs": _ONNX,
        "architecture": network.name,
        "dimension": int(encoder.output_shape[1]),
        "parameters": int(network.count_params()),
        "denoises": restores,
        "autoencoder_sha256": sha256_of(folder / RESTORING) if restores else None,
        "code_shape": code_shape_of(network),
    }


def _graph(folder: Path, content: bytes, preprocessing: Preprocessing) -> dict[str, Any]:
    (folder / _ONNX).write_bytes(content)
    return {
        "runs": _ONNX,
        "dimension": _dimension(graph(folder / _ONNX, threads=1), preprocessing),
        "parameters": None,
        "denoises": False,
    }


def _arrays(
    folder: Path, learned: Learned, preprocessing: Preprocessing, described: Mapping[str, Any]
) -> dict[str, Any]:
    arrays = dict(learned.arrays or {})
    np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
    return {
        "runs": _ARRAYS,
        "dimension": _dimension(kind_of(described["encoder"]).method.run(arrays), preprocessing),
        "parameters": sum(array.size for array in arrays.values()),
        "denoises": False,
    }


def _dimension(run: Inference, preprocessing: Preprocessing) -> int:
    """Return how many values a feature has, by encoding a black picture."""
    feature = run(preprocessing.inputs(np.zeros((1, *preprocessing.shape), np.uint8)))
    if feature.ndim != 2 or len(feature) != 1:
        raise ModelError(
            f"an encoder must return one row of values for each picture, (n, d), not {feature.shape} for one picture"
        )
    return int(feature.shape[1])


def fingerprint_of(learned: Learned, preprocessing: Preprocessing, described: Mapping[str, Any]) -> str:
    """Hash what decides the features; 16 hexadecimal digits."""
    if learned.network is not None:
        from cbir.model.networks import export

        return export.fingerprint_of(export.encoder_of(learned.network), preprocessing)
    facts = [described["encoder"], described["revision"], preprocessing.describe()]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(learned.graph or b"")
    for name, array in sorted((learned.arrays or {}).items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
