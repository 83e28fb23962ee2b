"""A `.tflite` file whose data lie outside itself is refused before LiteRT reads it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_models import TINY_SHAPES, tiny_images

from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.errors import ArtifactError

if TYPE_CHECKING:
    from edge_fm_export.results import ExportResult

WRAPS = 1 << 64
"""Added to in 64 bits, an offset just below this comes out at the beginning of the file."""


def _largest(model: Any) -> Any:
    return max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))


def _buffer(offset: int, size: int) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        buffer = _largest(model)
        buffer.data, buffer.offset, buffer.size = None, offset, size

    return edit


def _options(offset: int, size: int) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        operator = model.subgraphs[0].operators[0]
        operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = offset, size

    return edit


def _other_file(model: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    group, weights = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
    group.name, weights.id, weights.length = b"/etc/passwd", 1, 100
    model.externalBufferGroups, model.externalBuffers = [group], [weights]


@pytest.fixture(scope="module")
def rewritten(exported: Callable[[str, Target], ExportResult]) -> Callable[[Callable[[Any], None]], bytes]:
    """Rewrites an exported model after a change to its tables."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    whole = load_artifact(exported("colour", Target("litert", "fp32")).path).payload.read_bytes()

    def rewrite(edit: Callable[[Any], None]) -> bytes:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(whole, 0))
        edit(model)
        builder = flatbuffers.Builder(len(whole))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return rewrite


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_buffer(1 << 40, 100), r"buffer \d+: 100 bytes are said to begin at byte 1099511627776 of"),
        (_buffer(16, 1 << 62), "bytes are said to begin at byte 16 of"),
        (_buffer(WRAPS - 8, 16), "buffer"),
        (_buffer(WRAPS - (1 << 40), (1 << 40) + 64), "buffer"),
        (_options(1 << 40, 100), "the options of operator 0 in subgraph 0: 100 bytes"),
        (_options(WRAPS - 64, 128), "the options of operator 0"),
        (_other_file, "weights in other files"),
    ],
    ids=["beyond", "too long", "wraps", "wraps far", "options beyond", "options wrap", "other file"],
)
def test_data_outside_the_file_are_refused(
    edit: Callable[[Any], None], words: str, rewritten: Callable[..., bytes], tmp_path: Path
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(rewritten(edit))
    with pytest.raises(ArtifactError, match=words) as error:
        load_artifact(file)
    assert error.value.hint and not re.search(r"\.\.|\n", error.value.message)


def test_weights_behind_the_flatbuffer_are_read(
    exported: Callable[[str, Target], ExportResult], rewritten: Callable[..., bytes], tmp_path: Path
) -> None:
    """As LiteRT stores models above 2 GB."""
    artifact = load_artifact(exported("colour", Target("litert", "fp32")).path)
    content: list[bytes] = []
    rewritten(lambda model: content.append(bytes(_largest(model).data)))
    # The place is known once the rest has been written; both times the rest is as long.
    first = len(rewritten(_buffer(2, len(content[0]))))
    start = first + -first % 16
    model = rewritten(_buffer(start, len(content[0])))
    file = tmp_path / "model.tflite"
    file.write_bytes(model + bytes(start - first) + content[0])
    images, _ = tiny_images(TINY_SHAPES["colour"], 3, seed=8)
    predictions = [create_engine(one, "litert").infer(images) for one in (load_artifact(file), artifact)]
    np.testing.assert_array_equal(*predictions)


def test_a_file_of_shared_lists_takes_no_time(tmp_path: Path) -> None:
    """Subgraphs whose operators are one list: its entries would be followed once for each of them."""
    count = 20_000
    table, operators = 8, 16
    # A model whose list of subgraphs names one table over and over, as the list of operators in that table does.
    model = struct.pack("<HHHHH", 10, 8, 0, 0, 4) + bytes(2)  # vtable of Model: field 2 at 4
    head = struct.pack("<I4s", 8 + len(model), b"TFL3") + model
    at = len(head)
    vector = at + 8
    graph_vtable = vector + 4 + 4 * count
    graph = graph_vtable + 12
    operator_list = graph + table
    operator_vtable = operator_list + 4 + 4 * count
    operator = operator_vtable + 4
    parts = [
        head,
        struct.pack("<iI", at - 8, vector - at - 4),
        struct.pack("<I", count) + b"".join(struct.pack("<I", graph - vector - 4 - 4 * i) for i in range(count)),
        struct.pack("<HHHHHH", 12, table, 0, 0, 0, 4),
        struct.pack("<iI", graph - graph_vtable, operator_list - graph - 4),
        struct.pack("<I", count)
        + b"".join(struct.pack("<I", operator - operator_list - 4 - 4 * i) for i in range(count)),
        struct.pack("<HH", 4, 4),
        struct.pack("<i", operator - operator_vtable) + bytes(operators),
    ]
    file = tmp_path / "model.tflite"
    file.write_bytes(b"".join(parts))
    from edge_fm_runtime.artifacts.embedded import check_litert_data

    with pytest.raises(ArtifactError, match="more than 100000 operators"):
        check_litert_data(file)
