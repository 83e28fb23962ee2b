"""What is done to an ONNX model where plain calibration loses too much."""
