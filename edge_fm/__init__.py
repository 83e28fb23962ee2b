"""EdgeFM: image classifiers from Keras to a device, with proof."""

from edge_fm_runtime import __version__

__all__ = ["__version__"]
