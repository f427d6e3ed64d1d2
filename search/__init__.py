"""A query becomes hits: encode, search, expand, re-rank, and show as a picture.

Nothing here imports TensorFlow: a search loads an ONNX graph and a Qdrant shard.
"""
