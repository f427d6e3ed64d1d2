"""The model bundles of a folder: listed, found by fingerprint, copied in, named.

In: the folder, and names or fingerprints. Out: bundles, and paths for new ones.
"""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cbir.core.disk import entries
from cbir.core.names import folded, made_name, same_name
from cbir.model.bundle import Bundle, copy_bundle, fingerprint_of, read_bundle, write_bundle
from cbir.model.errors import ModelError
from cbir.model.method import Learned

_KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def bundles(models: Path) -> list[Bundle]:
    """List the bundles of a folder by name; what is incomplete or damaged is left out."""
    found = []
    for path in entries(models):
        if not path.name.startswith(".") and path.is_dir():
            try:
                found.append(read_bundle(path))
            except ModelError:
                continue
    return found


def find_bundle(models: Path, fingerprint: str) -> Bundle | None:
    """Return a bundle of that fingerprint whose encoder can be loaded; None if there is none."""
    return next((b for b in bundles(models) if b.fingerprint == fingerprint and b.loads()), None)


def bundle_of(models: Path, collection: str, model: str, fingerprint: str) -> Bundle:
    """Read the model that filled a collection.

    Parameters
    ----------
    models : Path
    collection : str
        For the message.
    model, fingerprint : str
        From the collection's metadata.

    Raises
    ------
    ModelError
        It is not on this machine, or damaged.
    """
    path = bundle_path(models, model)
    if not path.is_dir():
        raise ModelError(
            f"collection '{collection}' was filled by model '{model}' (encoder {fingerprint}), "
            f"which is not on this machine: copy that folder to {path} from where it was filled, "
            "or give it to cbir ingest SOURCE --model PATH"
        )
    return read_bundle(path)


def adopt_bundle(models: Path, name: str, path: Path, check: Callable[[str], None]) -> Bundle:
    """Copy a model from elsewhere: a bundle folder, an ONNX file, or a `.keras` or `.h5` file.

    Parameters
    ----------
    models : Path
        Folder of bundles. A bundle already there with the same fingerprint is used as it is.
    name : str
        The copy's name, if it is free.
    path : Path
    check : callable
        Called with the fingerprint before anything is stored; raises to refuse it.

    Raises
    ------
    ModelError
        Neither a bundle, nor a graph that makes features of pictures, nor a model file with a layer `encoder`.
    """
    if path.is_dir():
        bundle = read_bundle(path)
        check(bundle.fingerprint)
        bundle.encoder(threads=1)  # refuse a damaged graph before it is copied
        return installed(models, name, bundle.fingerprint, partial(copy_bundle, bundle))
    if path.suffix.lower() == ".onnx":
        return _adopt_onnx(models, name, path, check)
    if path.suffix not in _KERAS_SUFFIXES:
        raise ModelError(f"{path} is not a model: name a bundle folder, or an .onnx, .keras or .h5 file")
    from cbir.model.networks import export

    model = export.load_keras(path)
    preprocessing = export.preprocessing_of(model)
    fingerprint = export.fingerprint_of(export.encoder_of(model), preprocessing)
    check(fingerprint)
    write = partial(write_bundle, learned=Learned(network=model), preprocessing=preprocessing)
    return installed(models, name, fingerprint, write)


def _adopt_onnx(models: Path, name: str, path: Path, check: Callable[[str], None]) -> Bundle:
    from cbir.model.pretrained import onnx_file

    learned, preprocessing = onnx_file.onnx_encoder(path)
    described = onnx_file.KIND.describe(onnx_file.recipe_of(learned, preprocessing))
    fingerprint = fingerprint_of(learned, preprocessing, described)
    check(fingerprint)
    write = partial(write_bundle, learned=learned, preprocessing=preprocessing, described=described)
    return installed(models, name, fingerprint, write)


def installed(models: Path, name: str, fingerprint: str | None, write: Callable[[Path], Bundle]) -> Bundle:
    """Return the bundle of that fingerprint, or write it; other processes may be about to do the same.

    Parameters
    ----------
    models : Path
    name : str
        The new bundle's, if it is free.
    fingerprint : str or None
        None: it is written in any case.
    write : callable
        Writes the bundle to a path; FileExistsError if that is taken by then.
    """
    while True:
        path = free_path(models, name)  # first: what is put there from now on is found, or is in the way
        if fingerprint is not None and (known := find_bundle(models, fingerprint)):
            return known
        try:
            return write(path)
        except FileExistsError:
            if not path.exists():
                raise


def bundle_path(models: Path, name: str) -> Path:
    """Return the folder of a model of this name, which may be there in another case or Unicode form."""
    return models / (same_name(name, _names(models)) or name)


def free_path(models: Path, name: str) -> Path:
    """Return the first of `name`, `name-2`, `name-3`, ... that is not there, in any case and Unicode form."""
    name, taken = made_name(name), set(map(folded, _names(models)))
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return next(models / free for free in names if folded(free) not in taken)


def _names(models: Path) -> list[str]:
    return [path.name for path in entries(models)]
