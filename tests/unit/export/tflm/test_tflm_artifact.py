"""The artifact for TensorFlow Lite Micro: its arrays, compiled and run with TFLM's own interpreter behind them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_blocks import ROOT
from tiny_models import TINY_SHAPES, tiny_images

from edge_fm_export.litert.model_file import read_model
from edge_fm_export.results import ExportResult
from edge_fm_export.targets import Target
from edge_fm_export.tflm.operators import ADD_METHODS, operators_of
from edge_fm_export.tflm.sources import pixels_to_int8
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import create_engine

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow", "ai_edge_litert", "tflite_micro")]
TFLM = Target("tflm", "int8")
HEADERS = ROOT / "tests/support/environment/tflm_headers"
Exported = Callable[[str, Target], ExportResult]


@pytest.mark.skipif(shutil.which("cmake") is None or shutil.which("g++") is None, reason="needs cmake and g++")
def test_the_program_is_built_by_cmake_and_prints_ok(exported: Exported, tmp_path: Path) -> None:
    result = exported("grey", TFLM)
    source = tmp_path / "a copy"
    shutil.copytree(result.path, source)
    configure = ["cmake", "-S", source, "-B", tmp_path / "build", f"-DTFLM_DIR={HEADERS}", "-DCMAKE_BUILD_TYPE=Debug"]
    configure.append("-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
    subprocess.run(configure, check=True, capture_output=True, timeout=120)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True, timeout=240)
    child = shlex.join([sys.executable, str(ROOT / "tests/support/environment/tflm_child.py")])
    size = (result.path / "model.tflite").stat().st_size
    environment = {"EDGEFM_TFLM_CHILD": child, "EDGEFM_TFLM_MODEL_BYTES": str(size), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [tmp_path / "build/classify"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0 and done.stdout.endswith("largest difference 0 of 256\nOK\n"), done
    assert "Été, long" in done.stdout


def test_cmake_without_tflm_says_what_to_do(exported: Exported, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    command = ["cmake", "-S", exported("grey", TFLM).path, "-B", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0 and "create_tflm_tree.py" in done.stderr


@pytest.mark.parametrize("kind", TINY_SHAPES)
def test_the_header_says_what_the_model_is(kind: str, exported: Exported) -> None:
    result = exported(kind, TFLM)
    content = (result.path / "model.tflite").read_bytes()
    header = (result.path / "model.h").read_text()
    found = dict(re.findall(r"constexpr \S+(?: int)? (k\w+) = (\S+);", header))
    graph = result.metadata.graph or {}
    assert int(found["kModelBytes"]) == len(content) == graph["model_bytes"] == result.bytes
    assert int(found["kArenaBytes"]) == graph["arena_bytes"] and graph["arena_bytes"] % 16 == 0
    assert (int(found["kHeight"]), int(found["kWidth"]), int(found["kChannels"])) == TINY_SHAPES[kind]
    model = read_model(content)
    assert list(operators_of(model)) == graph["operators"] and int(found["kOperators"]) == len(graph["operators"])
    for operator in graph["operators"]:
        assert f"resolver.Add{ADD_METHODS[operator]}()" in header
    tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    # The scaling of pixels, x / 127.5 - 1, is in the quantization of the input: no operator is left of it.
    assert np.float32(found["kInputScale"].rstrip("f")) == tensor.quantization.scale[0] == np.float32(1 / 127.5)
    assert int(found["kInputZeroPoint"]) == tensor.quantization.zeroPoint[0] in (-1, 0)
    assert not {"MUL", "SUB", "QUANTIZE", "DEQUANTIZE", "CAST"} & set(graph["operators"])
    assert {"main.cc", "model.cc", "golden.cc", "golden.h", "CMakeLists.txt"} < set(result.metadata.files)
    array = re.findall(r"0x([0-9a-f]{2})", (result.path / "model.cc").read_text())
    assert bytes.fromhex("".join(array)) == content


def test_it_computes_what_litert_computes(exported: Exported) -> None:
    """LiteRT's reference kernels give the same for the same quantized model."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    images, _ = tiny_images(TINY_SHAPES["grey"], 200, seed=9)
    litert = exported("grey", Target("litert", "int8")).path / "model.tflite"
    runner = Interpreter(str(litert), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    given, result = runner.get_input_details()[0]["index"], runner.get_output_details()[0]["index"]
    runner.resize_tensor_input(given, images.shape)
    runner.allocate_tensors()
    runner.set_tensor(given, images)
    runner.invoke()
    engine = create_engine(load_artifact(exported("grey", TFLM).path))
    predictions = engine.infer(images)
    engine.close()
    found = runner.get_tensor(result)
    assert (predictions.argmax(axis=1) == found.argmax(axis=1)).mean() >= 0.999
    assert np.abs(predictions - found).max() <= 2 / 256  # one softmax and the other round otherwise


def test_one_byte_less_of_arena_is_too_little(exported: Exported) -> None:
    from tflite_micro import runtime

    result = exported("colour", TFLM)
    content, arena = (result.path / "model.tflite").read_bytes(), (result.metadata.graph or {})["arena_bytes"]
    runtime.Interpreter.from_bytes(content, arena_size=arena)
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(content, arena_size=arena - 16)


def test_the_card_has_the_budget_and_the_report_too(exported: Exported) -> None:
    result = exported("colour", TFLM)
    card = (result.path / "README.md").read_text()
    row: Any = (result.budget or {})["boards"][0]
    assert "XNNPACK, which rounds otherwise" in card
    assert "## Microcontrollers" in card and f"| {row['title']} (`{row['board']}`) | 64 | 20 |" in card
    assert f"{(result.metadata.graph or {})['arena_bytes']:,} bytes" in card
    assert result.to_json()["budget"]["boards"][0]["board"] == "blue-pill"


def test_the_stand_in_headers_have_every_operator() -> None:
    header = (HEADERS / "tensorflow/lite/micro/micro_mutable_op_resolver.h").read_text()
    found = dict(re.findall(r'Add(\w+)\(\) \{ return Add\("(\w+)"\); \}', header))
    assert found == {method: operator for operator, method in ADD_METHODS.items()}


def test_pixels_lose_nothing() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(pixels_to_int8(pixels).astype(int), pixels.astype(int) - 128)
