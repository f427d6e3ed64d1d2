"""What can be wrong with a picture or with a model."""

from cbir.core.errors import CbirError


class ImageError(CbirError):
    """A picture that cannot be read; the message names the file and says why."""


class ModelError(CbirError):
    """A model that is missing, damaged or unsuitable."""
