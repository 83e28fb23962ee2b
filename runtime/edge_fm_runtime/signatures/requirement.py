"""Require a signature of everything that a process loads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_fm_runtime.defaults import REQUIRE_SIGNATURE


@contextmanager
def required_signature(public_key: str | Path) -> Iterator[None]:
    """Within it, every artifact that this process and the processes that it starts load must be signed.

    It sets the environment variable `EDGEFM_REQUIRE_SIGNATURE`, which all threads of the process share; for one
    artifact alone there is the argument `require_signature` of `load_artifact` and `Classifier.load`.

    Args:
        public_key: PEM file of the public key, or of several, of which one must have signed.

    Example:
        >>> with required_signature("signing.pub"):
        ...     print(Path(os.environ["EDGEFM_REQUIRE_SIGNATURE"]).name)
        signing.pub
    """
    before = os.environ.get(REQUIRE_SIGNATURE)
    # Absolute: a child process may run in another folder. An empty name stays one, which loading refuses.
    os.environ[REQUIRE_SIGNATURE] = os.path.abspath(public_key) if os.fspath(public_key) else ""  # noqa: PTH100
    try:
        yield
    finally:
        if before is None:
            del os.environ[REQUIRE_SIGNATURE]
        else:
            os.environ[REQUIRE_SIGNATURE] = before
