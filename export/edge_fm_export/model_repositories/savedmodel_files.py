"""Where the files of a SavedModel lie in a version's folder."""

from __future__ import annotations

from edge_fm_export.savedmodel.savedmodel_format import VERSION
from edge_fm_runtime.artifacts.metadata import Metadata


def inside_savedmodel(metadata: Metadata, file: str) -> str:
    """The name of a payload's file in the SavedModel, whose folder is `PAYLOAD/1` in an artifact."""
    return file.removeprefix(f"{metadata.payload}/").removeprefix(f"{VERSION}/")
