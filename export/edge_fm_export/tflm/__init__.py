"""Int8 models for TensorFlow Lite Micro, the interpreter for microcontrollers."""
