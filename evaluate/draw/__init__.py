"""Figures of an evaluation: scores in, PNG bytes or a Pillow image out."""
