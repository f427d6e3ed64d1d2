"""The encoder `contrastive`: encoder.py has what the registry needs, the other files what it is built from."""

from cbir.model.networks.contrastive.encoder import KIND

__all__ = ["KIND"]
