"""Networks that others trained on photographs; run as ONNX graphs, no TensorFlow and no torch needed."""
