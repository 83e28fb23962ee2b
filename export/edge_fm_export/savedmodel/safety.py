"""What a SavedModel would do when it is loaded and run, found by reading its protobuf alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edge_fm_export.compat.tensorflow_graphs import is_operator, saved_model_message
from edge_fm_export.savedmodel.allowed_operators import ALLOWED, CHECKPOINT, RESTORE
from edge_fm_export.savedmodel.saver import Graph, restored_from_elsewhere
from edge_fm_runtime.errors import ModelError

_PB = "saved_model.pb"
_UNREAD = ("saved_model.cpb", "saved_model.pbtxt")
"""Other spellings of the same message, which TensorFlow may prefer to the one that is checked here."""
_SHOWN = 8
_MAX_PB_BYTES = (1 << 31) - 1


def require_safe_graph(folder: Path, *, trust: bool = False) -> None:
    """Raise unless a SavedModel only computes on tensors in memory, or is trusted.

    Every operator of every graph and function must be one that classifiers need (`allowed_operators`). Those that
    write checkpoints are allowed where only saving reaches them, which nobody asks for; those that read them where
    restoring reaches them and they read the file that TensorFlow names (`saver`). Neither is allowed where
    a signature, an initializer or an object's function reaches it. Files that TensorFlow would open must lie inside
    the folder.

    Args:
        folder: the one that holds `saved_model.pb`.
        trust: allow every operator.

    Raises:
        ModelError: `saved_model.pb` is malformed, or names the operators or files that are refused.
    """
    message = _read(folder)
    outside = [name for name in _assets(message) if not _inside(folder / "assets", name)]
    if outside:
        raise ModelError(
            f"{folder} names files outside its folder as assets: {', '.join(map(repr, outside[:_SHOWN]))}.",
            hint="Export it again with its assets inside: tf.saved_model.save(model, 'folder')",
        )
    if trust:
        return
    other = [name for name in _UNREAD if (folder / name).exists()]
    if other:
        raise ModelError(
            f"{folder} holds {', '.join(other)} beside or in place of {_PB}; only {_PB} can be checked before loading.",
            hint=f"Export it again, into an empty folder: {_PB} alone is needed. If you trust who made it: --trust.",
        )
    refused = sorted({op for graph in message.meta_graphs for op in _refused(graph)})
    if refused:
        more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise ModelError(
            f"{folder} holds operators that no classifier needs: {', '.join(refused[:_SHOWN])}{more}. They may read or "
            "write files, call code or reach other machines.",
            hint="Export the classifier alone, without summaries, tables, readers and decoders of data sets: "
            "model.export('folder'). If you trust who made it: --trust.",
        )


def _read(folder: Path) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    message = saved_model_message()
    file = folder / _PB
    _require_regular_files(folder)
    try:
        message.ParseFromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(
            f"{file} is not a readable SavedModel: {error}.", hint="Export it again: model.export('folder')"
        ) from error
    return message


def _require_regular_files(folder: Path) -> None:
    """Raise where TensorFlow would wait for a FIFO or read from a device, or the graph is larger than any message."""
    odd = [path for path in folder.rglob("*") if path.exists() and not path.is_file() and not path.is_dir()]
    if odd:
        raise ModelError(
            f"{odd[0]} is a FIFO, a socket or a device; a SavedModel consists of regular files.",
            hint="Copy the model again, or export it again: model.export('folder')",
        )
    if (folder / _PB).exists() and (size := (folder / _PB).stat().st_size) > _MAX_PB_BYTES:
        raise ModelError(
            f"{folder / _PB} has {size:,} bytes; a protobuf message has at most {_MAX_PB_BYTES:,}.",
            hint="Copy the model again, or export it again: model.export('folder')",
        )


def _assets(message: Any) -> Iterator[str]:
    for graph in message.meta_graphs:
        for asset in graph.asset_file_def:
            yield asset.filename


def _inside(folder: Path, name: str) -> bool:
    """Whether `name` is a plain path that stays in `folder`, links followed."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name or "://" in name:
        return False
    return (folder / name).resolve().is_relative_to(folder.parent.resolve())


def _refused(meta: Any) -> set[str]:
    """The operators of a MetaGraphDef that are not allowed where they stand."""
    graph = Graph(meta)
    saver = meta.saver_def
    run = graph.ancestors(_fetched(meta)) | graph.ancestors((saver.filename_tensor_name,))
    # TensorFlow restores when it loads a model of its version 1, so what restoring needs is run as well.
    restoring = graph.ancestors((saver.restore_op_name,)) - run
    saving = graph.ancestors((saver.save_tensor_name,)) - run - restoring
    computing = [node for node in graph.all_nodes if node.name not in restoring | saving]
    elsewhere = graph.called(computing) | graph.closure(_named_by_objects(meta.object_graph_def))
    while_restoring = graph.called([graph.nodes[name] for name in restoring]) - elsewhere
    while_saving = graph.called([graph.nodes[name] for name in saving]) - elsewhere - while_restoring

    found = {node.op for node in computing if node.op not in ALLOWED}
    found |= {graph.nodes[name].op for name in saving} - ALLOWED - CHECKPOINT
    found |= {graph.nodes[name].op for name in restoring} - ALLOWED - RESTORE
    for function in meta.graph_def.library.function:
        name = function.signature.name
        more = CHECKPOINT if name in while_saving else RESTORE if name in while_restoring else frozenset()
        found |= {node.op for node in function.node_def} - ALLOWED - more
    # A node may be a call by the function's own name, which is then no operator's.
    found -= {name for name in graph.functions if not is_operator(name)}
    return found | restored_from_elsewhere(graph, restoring, saver.filename_tensor_name)


def _named_by_objects(objects: Any) -> set[str]:
    """Names of the functions that the objects of a SavedModel bring, each of which loading may call."""
    found = set(objects.concrete_functions)
    for item in objects.nodes:
        found |= set(item.function.concrete_functions) | {item.bare_concrete_function.concrete_function_name}
    return found


def _fetched(meta: Any) -> Iterator[str]:
    """The tensors and operators that loading and running a signature fetches."""
    for signature in meta.signature_def.values():
        for tensors in (signature.inputs, signature.outputs):
            for tensor in tensors.values():
                yield tensor.name
                for component in tensor.composite_tensor.components:
                    yield component.name
                yield from (tensor.coo_sparse.values_tensor_name, tensor.coo_sparse.indices_tensor_name)
                yield tensor.coo_sparse.dense_shape_tensor_name
    for collection in meta.collection_def.values():
        yield from collection.node_list.value
