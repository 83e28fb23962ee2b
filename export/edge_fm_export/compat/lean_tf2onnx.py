"""tf2onnx without the copies of every weight that it makes again and again; benchmarks/conversion.py shows what for.

tf2onnx 1.17 copies the whole graph before each of its some forty optimizer passes, to go on from if one fails, and
after each writes every constant into its protobuf node anew, where the old ones stay until the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CATCH = "TF2ONNX_CATCH_ERRORS"


@contextmanager
def lean_tf2onnx() -> Iterator[None]:
    """Have tf2onnx work on one graph, where an optimizer that fails ends the conversion.

    Not for several threads at once: it changes the environment and tf2onnx itself while it lasts.
    """
    from tf2onnx.graph import Node

    write = Node.update_proto

    def update_proto(node: Any, *arguments: Any, **options: Any) -> None:
        # The model's initializers are made of constants' values, not of their nodes.
        if not node.is_const():
            write(node, *arguments, **options)

    before = os.environ.get(_CATCH)
    os.environ[_CATCH] = "FALSE"  # set at all, it rules the copies out
    Node.update_proto = update_proto
    try:
        yield
    finally:
        Node.update_proto = write
        if before is None:
            del os.environ[_CATCH]
        else:
            os.environ[_CATCH] = before
