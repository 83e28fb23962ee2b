"""Model repositories of other servers: Triton, OpenVINO Model Server and TensorFlow Serving."""
