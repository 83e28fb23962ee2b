"""Every error that EdgeFM raises on purpose.

EdgeFMError                       exit 1   the root: catch this one
├── MissingDependencyError        exit 1   an optional package is absent; the hint is the `pip install` line
├── DataError                     exit 1   a dataset, an image folder, a CSV, ... is not what it should be
│   └── DownloadError             exit 1   no source of a dataset could be reached
├── RecipeError                   exit 1   a recipe names something unknown or contradicts itself
│   └── GivenTwiceError           exit 2   a key of a recipe is given two values: by an option and by --set or --grid
├── TrainingError                 exit 1   a training run cannot start, go on or be resumed
│   └── DivergedError             exit 1   the loss became infinite or not a number
├── ModelError                    exit 1   a Keras model (or its weights) cannot be read or is not an image classifier
├── ExportError                   exit 1   a conversion or quantization failed, or the pair does not exist
├── ArtifactError                 exit 1   an artifact's metadata is malformed or of an unknown schema
│   └── IntegrityError            exit 3   a file of an artifact is missing or is not what its hash says
│       └── SignatureError        exit 3   an artifact is unsigned, not as it was signed, or signed with another key
├── SigningKeyError               exit 1   a key file cannot be read, or holds a key of an unsupported kind
├── EngineError                   exit 1   an engine cannot run this artifact
│   ├── DeviceError               exit 1   the device asked for does not exist, or another one would have run
│   └── ClosedError               exit 1   a classifier or an engine was called after it was closed
├── ClusterError                  exit 1   a Ray cluster cannot be started, reached or used
├── PhotoError                    exit 1   a file is not a readable image
│   └── VideoError                exit 1   a video, a camera or a network stream cannot be opened or read on
└── GateError                     exit 3   parity or accuracy is out of tolerance; `failures` lists every check

What is not an error but should be known is an EdgeFMWarning: PrecisionWarning (an artifact runs in another precision
than its own), ConversionWarning (a model was converted, but not in the usual way), CacheWarning (a cached file is
damaged or not to be trusted, and is made again).
"""

from __future__ import annotations

from collections.abc import Sequence


class EdgeFMError(Exception):
    """The root of the tree.

    Args:
        message: what was got, and what is supported.
        hint: what to do or to type next; shown on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class MissingDependencyError(EdgeFMError):
    """An optional package is not installed."""

    @classmethod
    def for_extra(cls, package: str, extra: str, purpose: str) -> MissingDependencyError:
        """Build the error for `package`, which the extra `extra` of edge-fm installs.

        Args:
            package: the distribution that is missing, such as "openvino".
            extra: the extra that brings it, such as "openvino".
            purpose: what needs it, such as "the openvino engine".
        """
        are = "which are" if "," in package else "which is"
        return cls(f"{purpose} needs {package}, {are} not installed.", hint=f"pip install 'edge-fm[{extra}]'")


class DataError(EdgeFMError):
    """A dataset is not what it should be."""


class DownloadError(DataError):
    """No source of a dataset could be reached."""


class RecipeError(EdgeFMError):
    """A recipe names something unknown or contradicts itself."""


class GivenTwiceError(RecipeError):
    """A key of a recipe is given two values."""

    exit_code = 2


class TrainingError(EdgeFMError):
    """A training run cannot start, go on or be resumed."""


class DivergedError(TrainingError):
    """The loss became infinite or not a number."""


class ModelError(EdgeFMError):
    """A Keras model or its weights cannot be read, or it is not an image classifier."""


class ExportError(EdgeFMError):
    """A conversion or quantization failed, or the format and precision do not exist together."""


class ArtifactError(EdgeFMError):
    """An artifact's metadata is malformed or of an unknown schema."""


class IntegrityError(ArtifactError):
    """A file of an artifact is missing or is not what its hash says."""

    exit_code = 3


class SignatureError(IntegrityError):
    """A signature is required, and the artifact has none, is not as it was signed, or was signed with another key."""


class SigningKeyError(EdgeFMError):
    """A key file cannot be read, or holds a key of an unsupported kind."""


class EngineError(EdgeFMError):
    """An engine cannot run this artifact."""


class DeviceError(EngineError):
    """The device asked for does not exist, or another one would have run."""


class ClosedError(EngineError):
    """A classifier or an engine was called after it was closed."""


class PhotoError(EdgeFMError):
    """A file is not a readable image."""


class VideoError(PhotoError):
    """A video, a camera or a network stream cannot be opened or read on."""


class ClusterError(EdgeFMError):
    """A Ray cluster cannot be started, reached or used."""


class GateError(EdgeFMError):
    """Parity or accuracy is out of tolerance.

    Args:
        message: which artifact failed.
        failures: one line for each failed check: its name, value and limit.
        hint: what to do next.
    """

    exit_code = 3

    def __init__(self, message: str, failures: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *(f"  - {line}" for line in failures)]), hint=hint)
        self.failures = tuple(failures)


class EdgeFMWarning(UserWarning):
    """Something that a person should know, while the work goes on."""


class CacheWarning(EdgeFMWarning):
    """A cached file is damaged or not to be trusted; it is made again."""


class ConversionWarning(EdgeFMWarning):
    """A model was converted, but not in the usual way."""


class PrecisionWarning(EdgeFMWarning):
    """An artifact runs in another precision than its own, in which this CPU would compute other predictions."""
