"""Write any network as an ONNX model, and read its weights back."""
