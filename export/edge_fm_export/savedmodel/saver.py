"""The graph of a SavedModel as it can be walked, and which files its saver would read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edge_fm_export.savedmodel.allowed_operators import RESTORE

_SAME_FILE = ("Identity", "ShardedFilename")
"""Operators whose first input names the file that their output names, or a part of it."""
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class Graph:
    """The nodes and functions of a MetaGraphDef by their names.

    Args:
        meta: the MetaGraphDef.

    Attributes:
        all_nodes: of the graph itself, also those whose name another has.
        nodes: of the graph itself.
        functions: name -> its FunctionDef; of several by one name, all are in `called`.
    """

    def __init__(self, meta: Any) -> None:
        self.all_nodes = list(meta.graph_def.node)
        self.nodes: dict[str, Any] = {node.name: node for node in self.all_nodes}
        self.functions: dict[str, list[Any]] = {}
        for function in meta.graph_def.library.function:
            self.functions.setdefault(function.signature.name, []).append(function)

    def ancestors(self, tensors: Iterable[str]) -> set[str]:
        """Names of the nodes that the given tensors need, themselves included; control inputs count."""
        found: set[str] = set()
        todo = list(tensors)
        while todo:
            name = _node_name(todo.pop())
            if name in self.nodes and name not in found:
                found.add(name)
                todo.extend(self.nodes[name].input)
        return found

    def called(self, nodes: Iterable[Any]) -> set[str]:
        """Names of the functions that `nodes` call, directly or through others."""
        return self.closure(name for node in nodes for name in names_in(node))

    def closure(self, names: Iterable[str]) -> set[str]:
        """The functions among `names`, and those that they call."""
        found: set[str] = set()
        todo = [name for name in names if name in self.functions]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                bodies = (node for function in self.functions[name] for node in function.node_def)
                todo.extend(called for node in bodies for called in names_in(node) if called in self.functions)
        return found


def names_in(node: Any) -> Iterator[str]:
    """Every name by which a node could call a function: its operator, and the functions in its attributes."""
    yield node.op
    todo = list(node.attr.values())
    while todo:
        value = todo.pop()
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
                todo.extend(function.attr.values())


def restored_from_elsewhere(graph: Graph, restoring: set[str], filename: str) -> set[str]:
    """Operators that read a checkpoint whose name the model itself brings: any file of the machine.

    Args:
        graph: the whole of it.
        restoring: names of the nodes that restoring needs.
        filename: the tensor in which TensorFlow gives the checkpoint's name.
    """
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    todo: list[tuple[Mapping[str, Any], frozenset[str]]] = [
        ({name: graph.nodes[name] for name in restoring}, frozenset({_node_name(filename)}))
    ]
    while todo:
        nodes, given = todo.pop()
        for node in nodes.values():
            if node.op in RESTORE and not _is_given(node.input[0] if node.input else "", nodes, given):
                found.add(f"{node.op} of a file that the model names")
            for name in names_in(node):
                for function in graph.functions.get(name, ()):
                    inner = (
                        _given_arguments(function, node, nodes, given) if node.op in (name, *_CALLS) else frozenset()
                    )
                    if (name, inner) not in seen:
                        seen.add((name, inner))
                        todo.append(({inside.name: inside for inside in function.node_def}, inner))
    return found


def _given_arguments(function: Any, node: Any, nodes: Mapping[str, Any], given: frozenset[str]) -> frozenset[str]:
    """Which arguments of a function are the checkpoint's name where `node` calls it."""
    pairs = zip(function.signature.input_arg, node.input, strict=False)
    return frozenset(argument.name for argument, tensor in pairs if _is_given(tensor, nodes, given))


def _is_given(tensor: str, nodes: Mapping[str, Any], given: frozenset[str]) -> bool:
    """Whether a tensor is one of those `given`, possibly handed through operators that keep it."""
    for _ in range(len(nodes) + 1):
        name = _node_name(tensor)
        if name in given:
            return True
        node = nodes.get(name)
        if node is None or node.op not in _SAME_FILE or not node.input:
            return False
        tensor = node.input[0]
    return False  # a circle


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
