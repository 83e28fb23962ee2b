"""Runtime: read an artifact, turn photos into pixels, run an engine. The only part that a device loads.

Example:
    >>> from edge_fm_runtime import Classifier
    >>> Classifier.load("efficientnet-lite0-onnx-int8").classify("photo.jpg").label  # doctest: +SKIP
    'Ankle boot'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_fm_runtime.system.usage_reports import switch_off_usage_reports

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
    from edge_fm_runtime.artifacts.metadata import Metadata, PhotoSpec
    from edge_fm_runtime.classification import Classification, Failure, Prediction
    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.engines import Engine, EngineOptions, create_engine
    from edge_fm_runtime.errors import ClosedError, EdgeFMError, EngineError, PhotoError, SignatureError, VideoError
    from edge_fm_runtime.parity.verification import verify_golden
    from edge_fm_runtime.photos.photo import load_canvas
    from edge_fm_runtime.signatures.requirement import required_signature
    from edge_fm_runtime.streams.frames import Frame, FrameResult
    from edge_fm_runtime.streams.opening import open_video
    from edge_fm_runtime.streams.video import Video
    from edge_fm_runtime.streams.vote import Vote

__version__ = "0.1.0"

switch_off_usage_reports()

_HOMES = {
    "Artifact": "artifacts.artifact",
    "Classification": "classification",
    "Classifier": "classifier",
    "ClosedError": "errors",
    "EdgeFMError": "errors",
    "Engine": "engines",
    "EngineError": "errors",
    "EngineOptions": "engines",
    "Failure": "classification",
    "Frame": "streams.frames",
    "FrameResult": "streams.frames",
    "Metadata": "artifacts.metadata",
    "PhotoError": "errors",
    "PhotoSpec": "artifacts.metadata",
    "Prediction": "classification",
    "SignatureError": "errors",
    "Video": "streams.video",
    "VideoError": "errors",
    "Vote": "streams.vote",
    "create_engine": "engines",
    "load_artifact": "artifacts.artifact",
    "load_canvas": "photos.photo",
    "open_video": "streams.opening",
    "required_signature": "signatures.requirement",
    "verify_golden": "parity.verification",
}

__all__ = [
    "Artifact",
    "Classification",
    "Classifier",
    "ClosedError",
    "EdgeFMError",
    "Engine",
    "EngineError",
    "EngineOptions",
    "Failure",
    "Frame",
    "FrameResult",
    "Metadata",
    "PhotoError",
    "PhotoSpec",
    "Prediction",
    "SignatureError",
    "Video",
    "VideoError",
    "Vote",
    "__version__",
    "create_engine",
    "load_artifact",
    "load_canvas",
    "open_video",
    "required_signature",
    "verify_golden",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that a cold start pays for nothing else."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
