"""EdgeFM: image classifiers from Keras to a device, with proof."""

__version__ = "0.1.0"
