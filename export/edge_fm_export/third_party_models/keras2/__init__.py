"""Files of Keras 2 (and of tf_keras, which goes on with it), rewritten as Keras 3 describes the same model."""

from edge_fm_export.third_party_models.keras2 import operations
from edge_fm_export.third_party_models.keras2.model_config import keras2_advice, to_keras3
from edge_fm_export.third_party_models.keras2.version import DAMAGED_ZIP, KerasVersion, h5_version, keras_file_version

__all__ = [
    "DAMAGED_ZIP",
    "KerasVersion",
    "h5_version",
    "keras2_advice",
    "keras_file_version",
    "operations",
    "to_keras3",
]
