"""TFLM's interpreter for a program compiled with `tflm_headers`: gets the model, then images, and gives back outputs.

On standard input: a line with the model's bytes, the arena's bytes and the names of the operators; the model; then the
int8 values of one image after the other.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from tflite_micro import runtime

from edge_fm_export.litert.model_file import read_model
from edge_fm_export.tflm.operators import operators_of


def main() -> None:
    model_bytes, arena_bytes, names = sys.stdin.buffer.readline().decode().split()
    content = sys.stdin.buffer.read(int(model_bytes))
    needed = set(operators_of(read_model(content)))
    if set(names.split(",")) != needed:
        sys.exit(f"the resolver has {names}; the model needs {','.join(sorted(needed))}")
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=int(arena_bytes))
    shape = interpreter.get_input_details(0)["shape"]
    sizes = [math.prod(d["shape"]) for d in (interpreter.get_input_details(0), interpreter.get_output_details(0))]
    sys.stdout.write(f"{sizes[0]} {sizes[1]}\n")
    sys.stdout.flush()
    while len(values := sys.stdin.buffer.read(sizes[0])) == sizes[0]:
        interpreter.set_input(np.frombuffer(values, np.int8).reshape(shape), 0)
        interpreter.invoke()
        sys.stdout.buffer.write(interpreter.get_output(0).astype(np.int8).tobytes())
        sys.stdout.flush()


if __name__ == "__main__":
    main()
