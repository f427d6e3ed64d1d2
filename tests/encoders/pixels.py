"""The encoder `pixels`, so that this package alone is a small registry."""

from cbir.model.classical.pixels import KIND

__all__ = ["KIND"]
