"""An image becomes a feature vector.

In: pictures of any size and mode. Out: float32 features. Preprocessing, the
article's architecture, training, export to ONNX, and the encoder that runs it.
"""
