"""What a base install lacks: tests that need it are skipped by name, and those that do not are run.

A test is skipped only where it stopped at the import of a package of an extra that really is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

EXTRAS = (
    *(
        "ai_edge_litert",
        "ai_edge_quantizer",
        "cryptography",
        "cyclonedx",
        "h5py",
        "jinja2",
        "keras",
        "markdown_it",
        "matplotlib",
        "mlperf_loadgen",
        "model_api",
        "nncf",
    ),
    *("onnx", "onnxslim", "openvino", "optuna", "sklearn", "sqlalchemy", "sympy", "tensorboardX", "tensorflow"),
    *("fsspec", "pyarrow", "pyte", "ray", "tf2onnx", "tomli_w", "yaml"),
)
"""Import names of what pyproject's extras bring, those of development too."""


def absent_package(error: BaseException) -> str | None:
    """The package of an extra that is not installed, at whose import `error` arose; None where it has another cause."""
    for cause in _causes(error):
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            if package in EXTRAS and find_spec(package) is None:
                return package
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
