"""MNIST and Fashion-MNIST: four IDX files each, or Keras's `.npz`.

In: folders to look in. Out: a source of 60,000 database images and 10,000
queries. What is found nowhere is downloaded into the cache.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cbir.core.errors import first_line
from cbir.core.progress import Progress, silent
from cbir.ingest.sources.arrays import ArraySource, Part
from cbir.ingest.sources.source import SourceError

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
#: SHA-256 of MNIST's training labels, and how many there are.
_MNIST_LABELS = "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"
_MNIST_IMAGES = 60_000


@dataclass(frozen=True)
class _Dataset:
    """Where the gzip files are, and their SHA-256 in the order of `_FILES`."""

    url: str
    sha256: tuple[str, str, str, str]


DATASETS = {
    "mnist": _Dataset(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": _Dataset(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


def mnist(name: str, folders: Sequence[Path], cache: Path, *, progress: Progress = silent) -> ArraySource:
    """Find or download a dataset of the MNIST family.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    folders : sequence of Path
        Looked through in order: `FOLDER/name`, then FOLDER itself.
    cache : Path
        Looked in last, and downloaded to: `cache/name`.
    progress : Progress
        Stage `download`.

    Returns
    -------
    ArraySource
        Parts `train` and `test`.

    Raises
    ------
    SourceError
        Found nowhere and cannot be downloaded, or a file is damaged.
    """
    places = [place for folder in folders for place in (folder / name, folder) if not _of_another(name, place)]
    for place in (*places, cache / name):
        if (place / f"{name}.npz").is_file():
            return _source(name, _read_npz(place / f"{name}.npz"), place)
        if place != cache / name and _file(place, _FILES["train"][0]):
            return _source(name, _read_files(place), place)
    if not all(_file(cache / name, file) for pair in _FILES.values() for file in pair):
        _download(name, cache / name, folders, progress)
    return _source(name, _read_files(cache / name), cache / name)


def _source(name: str, parts: dict[str, Part], place: Path) -> ArraySource:
    """Make the source, unless these are the files of the other dataset, which have the same names."""
    labels = parts["train"].labels
    is_mnist = hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() == _MNIST_LABELS
    if len(labels) == _MNIST_IMAGES and is_mnist != (name == "mnist"):
        held = "MNIST" if is_mnist else "another dataset"
        raise SourceError(f"{place} holds {held}, not {name}; name another folder with --data-dir or CBIR_DATA")
    return ArraySource(name, parts)


def _of_another(name: str, place: Path) -> bool:
    """MNIST and Fashion-MNIST use the same file names; a folder named after one does not hold the other."""
    return place.name in DATASETS and place.name != name


def _file(place: Path, name: str) -> Path | None:
    variants = (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    return next((place / v for v in variants if (place / v).is_file()), None)


def _read_files(place: Path) -> dict[str, Part]:
    from cbir.ingest.sources.idx import read_idx

    parts = {}
    for part, (images_name, labels_name) in _FILES.items():
        images, labels = _file(place, images_name), _file(place, labels_name)
        if images is None or labels is None:
            missing = labels_name if images else images_name
            raise SourceError(f"{place / missing}[.gz] is missing; all four IDX files are needed")
        parts[part] = _validated(Part(read_idx(images, 3), read_idx(labels, 1)), images, labels)
    return parts


def _read_npz(path: Path) -> dict[str, Part]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            parts = {part: Part(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in _FILES}
    except Exception as error:  # noqa: BLE001 - a damaged archive can raise nearly anything
        raise SourceError(f"{path} is not the archive that Keras makes ({first_line(error)}); fetch it again") from None
    return {name: _validated(part, path, path) for name, part in parts.items()}


def _validated(part: Part, images: Path, labels: Path) -> Part:
    if part.images.ndim != 3 or part.images.dtype != np.uint8:
        raise SourceError(f"{images} holds {part.images.dtype} {part.images.shape}, not pictures of bytes")
    if part.labels.shape != (len(part.images),):
        raise SourceError(f"{labels} labels {len(part.labels)} images, but {images} holds {len(part.images)}")
    return part


def _download(name: str, place: Path, looked_in: Sequence[Path], progress: Progress) -> None:
    from cbir.core.download import DownloadError, download

    dataset = DATASETS[name]
    names = [file for pair in _FILES.values() for file in pair]
    try:
        for file, sha256 in zip(names, dataset.sha256, strict=True):
            download(f"{dataset.url}{file}.gz", place / f"{file}.gz", sha256, progress=progress)
    except DownloadError as error:
        looked = ", ".join(str(folder) for folder in (*looked_in, place))
        raise SourceError(
            f"{name} was not found in {looked}, and downloading failed ({error}). Put its four IDX files or "
            f"{name}.npz into {place}, name the folder that holds them with --data-dir or CBIR_DATA, "
            "or start with the bundled digits: cbir ingest digits"
        ) from None
