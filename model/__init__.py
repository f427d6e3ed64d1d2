"""An image becomes a feature vector.

In: pictures of any size and mode. Out: float32 features. Preprocessing, the
registry of encoders, and what runs them; `classical/` and `networks/` hold the
encoders themselves.
"""
