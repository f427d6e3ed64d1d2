"""Encoders that are networks: built and trained with Keras, exported to ONNX, run by onnxruntime.

Nothing here is imported by a search: TensorFlow takes seconds to load.
"""
