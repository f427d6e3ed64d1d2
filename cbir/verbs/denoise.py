"""Draw what a denoising autoencoder does."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.collection import home
from cbir.core.disk import require_folder_of
from cbir.core.errors import CbirError
from cbir.core.settings import read_settings

if TYPE_CHECKING:
    import numpy as np

    from cbir.ingest.sources.source import Item
    from cbir.model.preprocessing import Preprocessing


def denoise(
    collection: str | None = None,
    path: str | Path = "denoised.png",
    *,
    count: int = 10,
    noise: float | None = None,
    seed: int = 0,
    qdrant_url: str | None = None,
    data_dir: str | Path | None = None,
) -> Path:
    """Draw the article's figure: noisy pictures over denoised ones.

    Parameters
    ----------
    collection : str, optional
        Its model denoises its pictures, held-out ones if there are any. By default the one ingested last.
    path : str or Path
        The PNG to write.
    count : int
        Number of pictures.
    noise : float, optional
        Standard deviation of the noise; by default as in the model's training, else 0.5.
    seed : int
        Chooses the pictures and the noise.
    qdrant_url : str, optional
        Qdrant server; by default `QDRANT_URL`, else collections are embedded.
    data_dir : str or Path, optional
        Folder of `mnist` and `fashion-mnist`; also `CBIR_DATA`.

    Returns
    -------
    Path
    """
    import numpy as np
    from PIL import Image

    from cbir.ingest.roots import open_known
    from cbir.model.bundles import bundle_of
    from cbir.model.networks.denoising import denoise as denoise_pixels
    from cbir.search.sheet import Cell, save_picture, sheet

    if count < 1:
        raise CbirError(f"count must be at least 1, not {count}")
    require_folder_of(Path(path))
    settings = read_settings(data_dir, qdrant_url)
    with closing(home.open_engine(settings)) as engine:
        name = home.collection_or_default(engine, collection)
        metadata = engine.metadata(name)
    if not metadata.sources:
        raise CbirError(f"collection '{name}' names no source to take pictures from; ingest its source again")
    bundle = bundle_of(settings.models, name, metadata.model, metadata.fingerprint)
    recipe = bundle.metadata.get("recipe") or {}
    source = open_known(metadata.sources[0], metadata, settings.data, settings.cache)
    items = source.queries() or list(source.items())
    shuffled = (items[i] for i in np.random.default_rng(seed).permutation(len(items)))
    pixels = _readable_pixels(shuffled, bundle.preprocessing, count)
    if not pixels:
        raise CbirError(f"no picture of {source} can be read")
    strength = recipe.get("noise", 0.5) if noise is None else noise
    rows = denoise_pixels(bundle.autoencoder(), np.stack(pixels), noise=strength, seed=seed)
    cells = [[Cell(Image.fromarray(image.squeeze())) for image in row] for row in rows]
    return save_picture(sheet(cells), path)


def _readable_pixels(items: Iterable[Item], preprocessing: Preprocessing, count: int) -> list[np.ndarray]:
    """Return the pixels of the first `count` items that can be read, each (h, w, c) uint8."""
    from cbir.model.errors import ImageError

    found: list[np.ndarray] = []
    for item in items:
        with suppress(ImageError):
            found.append(preprocessing.pixels(item.open()))
        if len(found) == count:
            break
    return found
