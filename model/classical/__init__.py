"""Encoders without a network: NumPy and the field's libraries, no Keras.

Each file is one encoder, with the verbs that `cbir.model.method` names.
"""
