"""Encoders that are networks: built and trained with Keras, exported to ONNX, run by onnxruntime.

A file with a `KIND` is an encoder, the others are what they share. A search loads
none of them: TensorFlow takes seconds to import.
"""
