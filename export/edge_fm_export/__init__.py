"""Export: Keras to SavedModel, ONNX, OpenVINO IR and LiteRT, quantized or not, and proven."""
