"""Batches of images that are decoded when they are needed: predictions for them, and the errors of a lost file."""
