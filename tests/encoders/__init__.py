"""Encoders of the tests: a package that a test puts into `cbir.model.registry.PACKAGES`."""
