"""ONNX models: written from any network, and read back for their weights."""
