"""Clothing photos: phone photos of clothes by several hundred people, which the classifier in the package learned from.

The photos are alexeygrigorev/clothing-dataset on GitHub (CC0-1.0). They have no bags: those of Fashion-MNIST stand in.
"""

from edge_fm.data.clothing_photos.archive import NAME, fetch
from edge_fm.data.clothing_photos.manifest import FASHION_MNIST_SENDER, MANIFEST, write_manifest

__all__ = ["FASHION_MNIST_SENDER", "MANIFEST", "NAME", "fetch", "write_manifest"]
