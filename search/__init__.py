"""Query images become hits; rankings become scores and pictures.

Nothing here imports TensorFlow: a search loads an ONNX graph and a Qdrant shard.
"""
