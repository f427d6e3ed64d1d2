"""What can be wrong with a picture or with a model."""

from cbir.core.errors import CbirError


class ImageError(CbirError):
    """A picture that cannot be read; the message names the file and says why."""


class PassingError(ImageError):
    """A picture that cannot be read this time: its file, or memory or time for it, may be there another time."""


class ModelError(CbirError):
    """A model that is missing, damaged or unsuitable."""
