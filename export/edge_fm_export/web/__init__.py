"""A page that classifies photos in a browser: the ONNX model with ONNX Runtime Web, for any static host."""
