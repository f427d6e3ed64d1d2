"""Pictures that people and programs upload to search with: kept in memory, within a bound, for as long as it runs.

In: the bytes of a picture's file. Out: an id that nobody guesses; under it, an encoder's pixels and a preview. Nothing
is written to disk, and no name of a file is asked for.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cbir.serve.kept import Kept
from cbir.serve.problems import NotFoundError

if TYPE_CHECKING:
    from cbir.model.preprocessing import Preprocessing
    from cbir.serve.decoding import Decoding
    from cbir.serve.schemas import Box

#: What messages call an upload; it has no ending, which could be taken for a format's.
NAME = "the uploaded file"
#: Pixels of a preview's longer side.
_PREVIEW = 1600


@dataclass(frozen=True)
class Upload:
    """An uploaded picture: its id, and its size as it is seen, upright."""

    id: str
    width: int
    height: int
    content: bytes = field(repr=False, compare=False)


class Uploads:
    """The uploaded pictures; threads share them.

    Parameters
    ----------
    decoding : Decoding
    most_bytes : int
        Of all of them; a quarter of it more is for what is made of them. Those not used for longest go first.
    """

    def __init__(self, decoding: Decoding, most_bytes: int) -> None:
        self._decoding = decoding
        self._kept: Kept[Upload] = Kept(most_bytes)
        self._made: Kept[np.ndarray | bytes] = Kept(most_bytes // 4)

    def add(self, content: bytes) -> Upload:
        """Keep a picture.

        Raises
        ------
        ImageError
            It is none, or cannot be decoded within the limits.
        """
        upload = Upload(secrets.token_urlsafe(16), *self._decoding.size(content, NAME), content)
        self._kept.put(upload.id, upload, len(content))
        return upload

    def get(self, upload_id: str) -> Upload:
        """Return an upload; NotFoundError if there is none of that id, or not any more."""
        upload = self._kept.get(upload_id)
        if upload is None:
            raise NotFoundError(f"no uploaded picture '{upload_id}' is kept, or not any more; upload it again")
        return upload

    def pixels(
        self, upload: Upload, preprocessing: Preprocessing, box: Box | None = None, *, invert: bool = False
    ) -> np.ndarray:
        """Return what an encoder sees of an upload, or of a part of it, (h, w, c) uint8; ImageError as above."""
        key = upload.id, preprocessing, box, invert
        pixels = self._made.get(key)
        if not isinstance(pixels, np.ndarray):
            pixels = self._decoding.pixels(upload.content, NAME, preprocessing, box, inverted=invert)
            self._made.put(key, pixels, pixels.nbytes)
        return pixels

    def preview(self, upload: Upload) -> bytes:
        """Return an upload as WebP to show; ImageError as above."""
        key = upload.id, "preview"
        preview = self._made.get(key)
        if not isinstance(preview, bytes):
            preview = self._decoding.webp(upload.content, NAME, _PREVIEW)
            self._made.put(key, preview, len(preview))
        return preview
