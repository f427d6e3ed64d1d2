"""What can be wrong with a model."""

from cbir.core.errors import CbirError


class ModelError(CbirError):
    """A model that is missing, damaged or unsuitable."""
