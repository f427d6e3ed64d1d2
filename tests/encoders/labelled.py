"""Pixels that pretend to learn from labels."""

from cbir.model.kind import Kind

KIND = Kind("labelled", "Pixels that pretend to need labels.", "cbir.model.classical.pixels", learns_from="labels")
