"""Training: data, augmentation and weights."""
