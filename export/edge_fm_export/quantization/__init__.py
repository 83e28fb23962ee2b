"""Static int8 quantization by each format's own tools, with calibration from training images alone."""
