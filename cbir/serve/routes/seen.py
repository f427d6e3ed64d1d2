"""`GET /api/collections/{name}/seen`: a picture as the encoder sees it, under noise, and restored."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
from fastapi import APIRouter, Query
from PIL import Image
from pydantic import BaseModel, Field

from cbir.model.preprocessing import to_unit
from cbir.serve.pages.asked import Asked, AskedError
from cbir.serve.seeing import LOOKED, SHOWN, USUAL_NOISE
from cbir.serve.state import Served

if TYPE_CHECKING:
    from cbir.search.searcher import Searcher
    from cbir.serve.state import State

router = APIRouter(prefix="/api/collections/{name}", tags=["search"])

#: Standard deviation of noise at the most; pixels are from 0 to 1.
MOST_NOISE = 2.0
_LITTLE_NOISE = 0.15
#: Pixels of a side that an answer shows at the most.
_SIDE = 1024
#: Columns of feature maps.
_COLUMNS = 8
_PNG = {"contentEncoding": "base64", "contentMediaType": "image/png"}

Png = Annotated[str, Field(json_schema_extra=_PNG)]
Noise = Annotated[
    float | None,
    Query(ge=0, le=MOST_NOISE, description="Standard deviation of the noise; by default as in the encoder's training."),
]
Seed = Annotated[int, Query(ge=0, le=2**31, description="The same seed draws the same noise.")]


class NearAnswer(BaseModel):
    """A stored picture that is near."""

    id: str
    distance: float
    before: bool = Field(description="It is as near without the noise.")


class SeenAnswer(BaseModel):
    """How a picture is seen."""

    collection: str
    shape: tuple[int, int, int] = Field(description="Height, width and channels of what is encoded.")
    steps: list[str] = Field(description="How the picture became that, in words.")
    noise: float
    seed: int
    given: Png = Field(description="What is encoded, without noise: PNG, base64.")
    noisy: Png = Field(description="The same with noise, clipped.")
    restored: Png | None = Field(description="What the autoencoder makes of that; null where there is no decoder.")
    why_not: str = Field(description="Why it is not restored, in words; empty if it is.")
    maps: Png | None = Field(description="The noisy picture's feature, where it is a picture itself.")
    noisy_error: float = Field(description="Root of the mean square by which the noise changes pixels of 0 to 1.")
    restored_error: float | None = Field(description="The same of what is restored.")
    moved: float = Field(description="The distance from the picture's feature to that of the noisy one.")
    same: int = Field(description=f"Of the {SHOWN} nearest, those that are the same without the noise.")
    rank: int | None = Field(
        description=f"Where a stored picture is among its own hits, from 1 on; null: not among the first {LOOKED}."
    )
    hits: list[NearAnswer] = Field(description="The nearest to the noisy picture.")


@router.get("/seen", name="seen", summary="Show how a picture is seen")
async def seen(
    name: str,
    q: Annotated[str, Query(description="`id:POINT` or `up:UPLOAD`.", pattern="^(id|up):.+", examples=["up:x"])],
    served: Served,
    box: Annotated[str, Query(description="`left,top,right,bottom` in shares: only this part.", max_length=200)] = "",
    noise: Noise = None,
    seed: Seed = 0,
) -> SeenAnswer:
    """Show a picture as the encoder gets it, with noise on it, what an autoencoder restores, and what is near then."""
    return await served.gate.run(looked, served, name, Asked(q=q, box=box), noise, seed)


def usual_noise(searcher: Searcher) -> float:
    """Return the noise of an encoder's training, or the article's; less where none was learned with."""
    usual = USUAL_NOISE if searcher.bundle.metadata.get("denoises") else _LITTLE_NOISE
    noise = (searcher.bundle.metadata.get("recipe") or {}).get("noise")
    return usual if noise is None else min(float(noise), MOST_NOISE)


def looked(served: State, name: str, asked: Asked, noise: float | None, seed: int) -> SeenAnswer:
    """Look at a picture; to be called in a thread."""
    request = asked.request()
    if request is None or request.text is not None:
        raise AskedError("words have no picture to be seen: ask by id:POINT or up:UPLOAD")
    searcher = served.library.searcher(name)
    strength = usual_noise(searcher) if noise is None else noise
    found = served.seeing.seen(served, searcher, request.examples()[0][0], strength, seed)
    clean = found.clean
    nearest = set(clean.nearest)
    near = [NearAnswer(id=hit.id, distance=hit.distance, before=hit.id in nearest) for hit in found.hits[:SHOWN]]
    height, width, channels = clean.pixels.shape
    return SeenAnswer(
        collection=name,
        shape=(height, width, channels),
        steps=list(clean.steps),
        noise=strength,
        seed=seed,
        given=_png(clean.pixels),
        noisy=_png(found.noisy),
        restored=None if found.restored is None else _png(found.restored),
        why_not=found.why_not,
        maps=_maps(found.feature, searcher.bundle.metadata.get("code_shape")),
        noisy_error=_apart(clean.pixels, found.noisy),
        restored_error=None if found.restored is None else _apart(clean.pixels, found.restored),
        moved=float(np.linalg.norm(found.feature - clean.feature)),
        same=sum(each.before for each in near),
        rank=found.rank,
        hits=near,
    )


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((to_unit(one) - to_unit(other)) ** 2)))


def _png(pixels: np.ndarray) -> str:
    """Return pixels (h, w, 1, 2, 3 or 4) as PNG in base64."""
    picture = Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=3)
    return base64.b64encode(file.getvalue()).decode()


def _maps(feature: np.ndarray, shape: list[int] | None) -> str | None:
    """Return a code of feature maps as tiles side by side, light where they are high; None of another feature."""
    if shape is None or len(shape) != 3 or math.prod(shape) != len(feature):
        return None
    height, width, count = shape
    high = max(float(feature.max()), 1e-9)
    values = np.clip(255 * feature.reshape(shape) / high, 0, 255).astype(np.uint8)
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 2), np.uint8)
    for number in range(count):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width, 0] = values[..., number]
        sheet[top : top + height, left : left + width, 1] = 255
    return _png(sheet)
