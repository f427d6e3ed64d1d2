"""The 1,797 handwritten digits that scikit-learn bundles: 8x8, no download.

The first 1,500 are the database, the other 297 are held out as queries.
"""

import numpy as np

from cbir.ingest.sources.arrays import ArraySource, Part

_DATABASE = 1500


def digits() -> ArraySource:
    """Load the digits as 8x8 uint8 pictures, white on black."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return ArraySource(
        "digits",
        {
            "database": Part(images[:_DATABASE], labels[:_DATABASE]),
            "queries": Part(images[_DATABASE:], labels[_DATABASE:]),
        },
    )
