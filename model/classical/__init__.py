"""Encoders without a network: NumPy and the field's libraries, no Keras.

Each file is one encoder, which the registry finds by its `KIND`.
"""
