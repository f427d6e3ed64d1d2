"""A model on disk: a folder that is either whole or absent.

`autoencoder.keras` (to train on, denoise, share), `encoder.onnx` (to run) and
`model.json` (what it was trained on and how). Written to a temporary folder
beside its place and renamed into it.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.encoder import Encoder, ModelError
from model.image import Preprocessing
from model.recipe import History, Recipe
from model.whole import whole_folder

if TYPE_CHECKING:
    from keras import Model

_KERAS, _ONNX, _CARD = "autoencoder.keras", "encoder.onnx", "model.json"


@dataclass(frozen=True)
class Bundle:
    """One model folder.

    Attributes
    ----------
    path : Path
    fingerprint : str
    dimension : int
        Values in a feature.
    preprocessing : Preprocessing
    card : Mapping
        All of `model.json`.
    """

    path: Path
    fingerprint: str
    dimension: int
    preprocessing: Preprocessing
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def encoder(self, *, threads: int = 0) -> Encoder:
        """Load the encoder; see `Encoder` for `threads`.

        Raises
        ------
        ModelError
            If the graph is missing or is not the one this bundle was written with.
        """
        onnx = self.path / _ONNX
        if not onnx.is_file() or _sha256(onnx) != self.card.get("encoder_sha256"):
            raise ModelError(f"{onnx} is missing or was changed; restore the bundle or train again with --retrain")
        return Encoder(onnx, self.preprocessing, self.fingerprint, threads=threads)

    def autoencoder(self) -> "Model":
        """Load the Keras model (imports Keras and its backend)."""
        from model.networks.export import load_keras

        return load_keras(self.path / _KERAS)


def read_bundle(path: Path) -> Bundle:
    """Read a model folder's card.

    Raises
    ------
    ModelError
        Not a bundle, or a damaged one.
    """
    try:
        card = json.loads((path / _CARD).read_text(encoding="utf-8"))
        height, width, channels = card["input_shape"]
        return Bundle(
            path=path,
            fingerprint=str(card["fingerprint"]),
            dimension=int(card["dimension"]),
            preprocessing=Preprocessing(height, width, channels),
            card=card,
        )
    except FileNotFoundError:
        raise ModelError(
            f"{path} is no model bundle (it has no {_CARD}); name another, or train again: cbir ingest SOURCE --retrain"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path / _CARD} is damaged ({error}); train again with --retrain") from None


def write_bundle(
    path: Path,
    autoencoder: "Model",
    *,
    trained_on: str | None = None,
    training: str | None = None,
    recipe: Recipe | None = None,
    history: History | None = None,
    images: int | None = None,
) -> Bundle:
    """Export a Keras model and write its bundle; `path` must not exist.

    Parameters
    ----------
    path : Path
    autoencoder : keras.Model
        With a layer named `encoder`.
    trained_on, training, recipe, history, images
        What the card tells of the training; None for a model from elsewhere.

    Returns
    -------
    Bundle
    """
    from model.networks.export import encoder_of, fingerprint_of, preprocessing_of, write_onnx

    encoder = encoder_of(autoencoder)
    preprocessing = preprocessing_of(autoencoder)
    with whole_folder(path) as folder:
        autoencoder.save(folder / _KERAS)
        write_onnx(encoder, folder / _ONNX)
        card = {
            "format": 1,
            "architecture": autoencoder.name,
            "fingerprint": fingerprint_of(encoder, preprocessing),
            "input_shape": list(preprocessing.shape),
            "preprocessing": preprocessing.describe(),
            "dimension": int(encoder.output_shape[1]),
            "parameters": int(autoencoder.count_params()),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "trained_on": trained_on,
            "training": training,
            "images": images,
            "recipe": asdict(recipe) if recipe else None,
            "history": asdict(history) if history else None,
            "encoder_sha256": _sha256(folder / _ONNX),
        }
        (folder / _CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return read_bundle(path)


def copy_bundle(bundle: Bundle, path: Path) -> Bundle:
    """Copy a bundle to a place that does not exist yet, all or nothing."""
    with whole_folder(path) as folder:
        for name in (_KERAS, _ONNX, _CARD):
            if (bundle.path / name).exists():
                shutil.copyfile(bundle.path / name, folder / name)
    return read_bundle(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
