"""Compute some operators of an int8 `.tflite` file in float: those of the float file take their place.

Ranges and biases of the others stay as they are, so that nothing is calibrated anew. Float values are quantized where
an operator in integers reads them, and integers dequantized where one in float does.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from typing import Any

import numpy as np

from edge_fm_export.litert.layers.graph_editing import (
    add_code,
    add_constant,
    add_float,
    is_rounded,
    make_operator,
    producer_of,
    remove_unread,
    same_rounding,
)
from edge_fm_export.litert.layers.twins import Twins, find_twins, is_constant, scaled_pixels
from edge_fm_export.litert.model_file import compact, constant, operator_name, read_model, write_model
from edge_fm_export.quantization.selection import NothingToQuantizeError


def leave_in_float(quantized: bytes, floats: bytes, places: Collection[int]) -> bytes:
    """The int8 model with the operators at `places` in float.

    Args:
        quantized: the int8 `.tflite` file, which may have operators in float already.
        floats: the float one of the same model.
        places: of the int8 file's operators.

    Raises:
        ArrangedOtherwiseError: the operators of one file are not those of the other.
        NothingToQuantizeError: no layer with weights in int8 remains.
    """
    editor = _Editor(read_model(quantized), read_model(floats))
    editor.replace(places)
    if not has_int8_weights(editor.model):
        raise NothingToQuantizeError
    compact(editor.model)
    return write_model(editor.model)


def has_int8_weights(model: Any) -> bool:
    """Whether an operator computes with weights in int8."""
    graph = model.subgraphs[0]
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL", "CONV_3D")
    for operator in graph.operators:
        if operator_name(model, operator) in kinds:
            for index in map(int, operator.inputs):
                values = None if index < 0 else constant(model, graph.tensors[index])
                if values is not None and values.dtype == np.int8:
                    return True
    return False


class _Editor:
    """Puts operators of a float model into an int8 one.

    Args:
        model: the int8 model, which is changed.
        floats: the float model.
    """

    def __init__(self, model: Any, floats: Any) -> None:
        self.model, self._floats = model, floats
        self._twins: Twins = find_twins(model, floats)
        self._graph, self._float_graph = model.subgraphs[0], floats.subgraphs[0]
        self._pixels = scaled_pixels(floats)
        self._constants: dict[int, int] = {}
        self._values = {self._pixels[0]: int(self._graph.inputs[0])}
        """Tensor of the float model -> the tensor of this one that has its float values."""
        self._same: dict[int, int] = {}
        """What an operator read -> what it reads now, for the operators still to come."""
        self._operators: list[Any] = []

    def replace(self, places: Collection[int]) -> None:
        wanted = {*places, *self._before(places)}
        for place, operator in enumerate(list(self._graph.operators)):
            operator.inputs = [self._same.get(int(index), int(index)) for index in operator.inputs]
            twin = self._twins.operators.get(place)
            if twin is not None and place in wanted and self._is_int8(operator):
                self._replace(operator, self._float_graph.operators[twin])
                continue
            if twin is None:
                self._skip_rounding(operator)
            else:
                self._remember_floats(operator, self._float_graph.operators[twin])
            self._operators.append(operator)
        self._graph.operators = self._operators
        remove_unread(self.model)

    def _before(self, places: Collection[int]) -> set[int]:
        """Operators between the pixels and these that hand on pixels whose scaling is in their quantization.

        In float the pixels are scaled as the float model does it: the zero point is rounded.
        """
        found: set[int] = set()
        waiting = [int(self._graph.operators[place].inputs[0]) for place in places]
        while waiting:
            tensor = waiting.pop()
            made = next((p for p, o in enumerate(self._graph.operators) if tensor in map(int, o.outputs)), None)
            if made is None or made not in self._twins.operators:
                continue
            operator = self._graph.operators[made]
            source = self._graph.tensors[int(operator.inputs[0])]
            if made not in found and same_rounding(source, self._graph.tensors[tensor]) and self._from_pixels(operator):
                found.add(made)
                waiting.append(int(operator.inputs[0]))
        return found

    def _from_pixels(self, operator: Any) -> bool:
        """Whether the values of an operator's first input are pixels whose scaling is in their quantization."""
        given = int(self._graph.inputs[0])
        current = int(operator.inputs[0])
        while (made := producer_of(self.model, current)) is not None:
            kind, maker = made
            source = int(maker.inputs[0])
            if kind == "QUANTIZE":
                return source == given
            if not same_rounding(self._graph.tensors[source], self._graph.tensors[current]):
                return False
            current = source
        return False

    def _is_int8(self, operator: Any) -> bool:
        return any(is_rounded(self._graph.tensors[int(i)]) for i in (*operator.inputs, *operator.outputs) if i >= 0)

    def _replace(self, operator: Any, twin: Any) -> None:
        new = deepcopy(twin)
        new.opcodeIndex = add_code(self.model, self._floats.operatorCodes[twin.opcodeIndex])
        new.inputs = [
            self._input(int(theirs), int(operator.inputs[position]) if position < len(operator.inputs) else -1)
            for position, theirs in enumerate(twin.inputs)
        ]
        outputs, quantize = [], []
        for mine, theirs in zip(map(int, operator.outputs), map(int, twin.outputs), strict=True):
            tensor = self._graph.tensors[mine]
            if not is_rounded(tensor):
                outputs.append(mine)
                continue
            self._values[theirs] = add_float(self.model, f"float/{tensor.name.decode()}", tensor)
            outputs.append(self._values[theirs])
            quantize.append(make_operator(self.model, "QUANTIZE", self._values[theirs], mine))
        new.outputs = outputs
        self._operators += [new, *quantize]

    def _input(self, theirs: int, mine: int) -> int:
        """The tensor of this model that has the float values of the tensor `theirs` of the float model."""
        if theirs < 0:
            return -1
        if is_constant(self._floats, theirs):
            return self._constant(theirs)
        if theirs in self._values:
            return self._values[theirs]
        tensor = self._graph.tensors[mine]
        if not is_rounded(tensor):
            return mine
        if theirs in self._pixels:
            return self._scaled(theirs)
        self._values[theirs] = add_float(self.model, f"float/{tensor.name.decode()}", tensor)
        self._operators.append(make_operator(self.model, "DEQUANTIZE", mine, self._values[theirs]))
        return self._values[theirs]

    def _constant(self, theirs: int) -> int:
        if theirs not in self._constants:
            tensor = self._float_graph.tensors[theirs]
            copied = add_constant(self.model, tensor.name.decode(), np.zeros(0, np.uint8), tensor)
            added = self._graph.tensors[copied]
            added.shape = deepcopy(tensor.shape)
            self.model.buffers[added.buffer].data = self._floats.buffers[tensor.buffer].data
            self._constants[theirs] = copied
        return self._constants[theirs]

    def _scaled(self, theirs: int) -> int:
        """The pixels, scaled by the float model's own operators."""
        for before, index in zip(self._pixels, self._pixels[1:], strict=False):
            if index not in self._values:
                made = producer_of(self._floats, index)
                assert made is not None
                new = deepcopy(made[1])
                new.opcodeIndex = add_code(self.model, self._floats.operatorCodes[new.opcodeIndex])
                given = int(self._graph.inputs[0]) if before == self._pixels[0] else self._values[before]
                new.inputs = [given if int(i) == before else self._constant(int(i)) for i in made[1].inputs]
                like = self._float_graph.tensors[index]
                self._values[index] = add_float(self.model, f"float/{like.name.decode()}", like)
                new.outputs = [self._values[index]]
                self._operators.append(new)
            if index == theirs:
                break
        return self._values[theirs]

    def _remember_floats(self, operator: Any, twin: Any) -> None:
        """Results of an operator that is in float as it is."""
        for mine, theirs in zip(map(int, operator.outputs), map(int, twin.outputs), strict=True):
            if not is_rounded(self._graph.tensors[mine]):
                self._values[theirs] = mine

    def _skip_rounding(self, operator: Any) -> None:
        """Let an operator that quantizes or dequantizes have the float values, where there are such now."""
        source, result = int(operator.inputs[0]), int(operator.outputs[0])
        known = self._values.get(self._twins.tensors.get(source, -1))
        if known is None or not is_rounded(self._graph.tensors[source]) or source == int(self._graph.inputs[0]):
            return
        outputs = set(map(int, self._graph.outputs))
        if operator_name(self.model, operator) == "QUANTIZE":
            operator.inputs = [known]
        elif result not in outputs:
            self._same[result] = known
        elif known not in outputs:
            # The output keeps its name and its place: the operator in float writes it.
            for other in self._operators:
                other.inputs = [result if int(index) == known else int(index) for index in other.inputs]
                other.outputs = [result if int(index) == known else int(index) for index in other.outputs]
            self._values[self._twins.tensors[source]] = result
            operator.outputs = [add_float(self.model, "unread", self._graph.tensors[result])]
