"""What a text tower is: words become features that lie among those of pictures.

In: texts. Out: features, to search with as with a picture's. An encoder whose
`Kind` says `words` has one; `Bundle.text_encoder` returns it.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class TextEncoder(Protocol):
    """Encodes texts as the same network encodes pictures.

    Making one costs nothing and touches no network: what it needs is fetched and loaded by the first `encode`.
    """

    @property
    def dimension(self) -> int:
        """Values in a feature, d: as many as in a picture's."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Turn texts into features.

        Parameters
        ----------
        texts : sequence of str
            None is empty. What a text has beyond the tower's most tokens is left out, with a CbirWarning.

        Returns
        -------
        ndarray of float32, shape (n, d)
            L2-normalised.

        Raises
        ------
        ModelError
            Its files cannot be fetched or are damaged, or a feature is not finite.
        """
        ...
