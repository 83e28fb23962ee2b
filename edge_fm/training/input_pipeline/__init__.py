"""Training images from a dataset to the batches that a step takes."""
