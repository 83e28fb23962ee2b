"""What a SavedModel would do when it is loaded and run, found by reading its protobuf alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edge_fm_export.savedmodel.allowed_operators import ALLOWED, CHECKPOINT
from edge_fm_runtime.errors import ModelError

_PB = "saved_model.pb"
_UNREAD = ("saved_model.cpb", "saved_model.pbtxt")
"""Other spellings of the same message, which TensorFlow may prefer to the one that is checked here."""
_SHOWN = 8


def require_safe_graph(folder: Path, *, trust: bool = False) -> None:
    """Raise unless a SavedModel only computes on tensors in memory, or is trusted.

    Every operator of every graph and function must be one that classifiers need (`savedmodel_operators`). Those that
    write and read checkpoints are allowed where only the saver reaches them, never where a signature, an initializer
    or an object's function does. Files that TensorFlow would open must lie inside the folder.

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
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    file = folder / _PB
    try:
        message.ParseFromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise ModelError(
            f"{file} is not a readable SavedModel: {error}.", hint="Export it again: model.export('folder')"
        ) from error
    return message


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
    nodes = {node.name: node for node in meta.graph_def.node}
    functions = {function.signature.name: list(function.node_def) for function in meta.graph_def.library.function}
    saver = meta.saver_def
    saving = _ancestors((saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name), nodes)
    run = _ancestors(_fetched(meta), nodes)
    computing = [node for name, node in nodes.items() if name not in saving or name in run]
    saving_nodes = [node for name, node in nodes.items() if name in saving and name not in run]
    bound = set(meta.object_graph_def.concrete_functions)
    reached = _called(computing, functions) | _closure(bound, functions)
    only_saving = _called(saving_nodes, functions) - reached
    found = {node.op for node in computing if node.op not in ALLOWED}
    found |= {node.op for node in saving_nodes if node.op not in ALLOWED | CHECKPOINT}
    for name, body in functions.items():
        allowed = ALLOWED | CHECKPOINT if name in only_saving else ALLOWED
        found |= {node.op for node in body if node.op not in allowed}
    return found - set(functions)  # a node may be a call by the function's own name


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


def _ancestors(tensors: Iterable[str], nodes: dict[str, Any]) -> set[str]:
    """Names of the nodes that the given tensors need, themselves included; control inputs count."""
    found: set[str] = set()
    todo = list(tensors)
    while todo:
        name = todo.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in found:
            found.add(name)
            todo.extend(nodes[name].input)
    return found


def _called(nodes: Iterable[Any], functions: dict[str, list[Any]]) -> set[str]:
    """Names of the functions that `nodes` call, directly or through others."""
    return _closure({name for node in nodes for name in _names(node)} & set(functions), functions)


def _closure(names: set[str], functions: dict[str, list[Any]]) -> set[str]:
    found: set[str] = set()
    todo = [name for name in names if name in functions]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(called for node in functions[name] for called in _names(node) if called in functions)
    return found


def _names(node: Any) -> Iterator[str]:
    """Every name by which a node could call a function: its operator, and the functions in its attributes."""
    yield node.op
    todo = list(node.attr.values())
    while todo:
        value = todo.pop()
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
                todo.extend(function.attr.values())
