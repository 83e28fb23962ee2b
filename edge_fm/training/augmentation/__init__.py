"""Random changes to training images: where each pixel comes from, colour, policies, and mixtures of two images."""
