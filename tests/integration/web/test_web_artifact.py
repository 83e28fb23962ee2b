"""A page made of an ONNX artifact: the same graph, the same bytes twice, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import export
from tiny_models import TINY_SHAPES, tiny_set
from web_pages import STAND_IN, make_page

import edge_fm
from edge_fm.api.common.export_options import ExportOptions
from edge_fm_export.context import QuantizeOptions
from edge_fm_export.pipeline import export_targets
from edge_fm_export.targets import Target
from edge_fm_export.web.repackage import web_from_onnx
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.files import list_files
from edge_fm_runtime.artifacts.golden import golden_of
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.drift.reference import load_reference
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.errors import ExportError, GateError

pytestmark = pytest.mark.needs("tensorflow", "tf2onnx", "onnx")


@pytest.fixture(scope="module")
def base(exported: Callable[..., Any]) -> Artifact:
    return load_artifact(exported("grey", Target("onnx", "int8")).path)


def hashes(folder: Path) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in [*list_files(folder), "edgefm.json"]}


def test_the_same_graph_gives_the_same_predictions_and_bytes(base: Artifact, tmp_path: Path) -> None:
    made = make_page(base, tmp_path / "one", STAND_IN)
    assert hashes(make_page(base, tmp_path / "two", STAND_IN).path) == hashes(made.path)
    assert (made.metadata.name, made.metadata.format) == ("tiny-grey-web-int8", "web")
    assert made.metadata.parity == base.metadata.parity and made.metadata.accuracy == base.metadata.accuracy
    engines = [create_engine(one) for one in (base, made)]
    images = golden_of(base).images
    np.testing.assert_array_equal(*(engine.infer(images) for engine in engines))
    for engine in engines:
        engine.close()
    card = (made.path / "README.md").read_text()
    assert "python -m http.server --directory tiny-grey-web-int8 8000" in card
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert manifest["start_url"] == "./" and (made.path / manifest["icons"][0]["src"]).is_file()
    assert not [name for name in list_files(made.path) if "webgpu" in name]  # int8 runs on WebAssembly alone
    notes = (made.metadata.source or {})["notes"]
    assert f"The graph is that of {base.metadata.name}, as are the figures of its gate." in notes


def test_what_was_recorded_of_held_out_images_goes_along(
    exported_with_outputs: Callable[..., Any], tmp_path: Path
) -> None:
    artifact = load_artifact(exported_with_outputs("grey", Target("onnx", "fp32")).path)
    made = make_page(artifact, tmp_path, STAND_IN)
    assert made.metadata.files["drift.npz"] == artifact.metadata.files["drift.npz"]
    assert made.metadata.drift == artifact.metadata.drift and load_reference(made).n == load_reference(artifact).n


def test_a_page_again_takes_the_place_of_the_first(base: Artifact, tmp_path: Path) -> None:
    first = make_page(base, tmp_path, STAND_IN)
    assert make_page(first, tmp_path, STAND_IN).metadata.files == first.metadata.files


def test_a_page_of_a_keras_model_says_what_it_adds(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    test = tiny_set(TINY_SHAPES["grey"], 40, seed=2)
    (made,) = export(tiny_sources["grey"], [Target("web", "fp32")], tmp_path, test=test).results
    assert {"sw.js", "index.html", "ort/ort.webgpu.min.js"} < set(made.metadata.files)
    assert any("add 0." in note and "onnxruntime-web" in note for note in made.notes)
    with pytest.raises(ExportError, match="needs the npm package") as caught:
        export(tiny_sources["grey"], [Target("web", "fp32")], tmp_path / "none", test=test, web_runtime=None)
    assert "--web-runtime" in str(caught.value)


def test_formats_that_share_a_model_convert_it_once(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    targets = [Target(form, precision) for form in ("onnx", "web") for precision in ("fp16", "int8")]
    shape = TINY_SHAPES["grey"]
    test, calibration, validation = (tiny_set(shape, count, seed=seed) for count, seed in ((40, 2), (64, 3), (80, 4)))
    stages: list[tuple[str, int]] = []
    report = export(
        tiny_sources["grey"], targets, tmp_path, test=test, calibration=calibration, validation=validation,
        quantize=QuantizeOptions(explain="all"), progress=lambda stage, done, total: stages.append((stage, done)),
    )  # fmt: skip
    assert stages.count(("quantizing onnx", 0)) == 1
    made = {result.target: result for result in report.results}
    for precision in ("fp16", "int8"):
        one, other = (made[Target(form, precision)] for form in ("onnx", "web"))
        models = [onnx_without_metadata(result.path / "model.onnx") for result in (one, other)]
        assert models[0] == models[1]
        assert one.metadata.quantization == other.metadata.quantization
        assert one.explanation is other.explanation
        assert (precision == "int8") == (one.explanation is not None)


def onnx_without_metadata(file: Path) -> bytes:
    import onnx

    model = onnx.load(file)
    del model.metadata_props[:]
    return bytes(model.SerializeToString(deterministic=True))


def test_what_fails_for_one_format_fails_for_the_other_without_a_second_try(
    tiny_sources: dict[str, Any], tmp_path: Path
) -> None:
    shape = TINY_SHAPES["grey"]
    test, calibration = tiny_set(shape, 40, seed=2), tiny_set(shape, 64, seed=3)
    report = export_targets(
        tiny_sources["grey"], [Target("onnx", "int8"), Target("web", "int8")], tmp_path, test=test,
        calibration=calibration, quantize=QuantizeOptions(keep_float=("no_such_layer",)), web_runtime=STAND_IN,
    )  # fmt: skip
    one, other = report.failures
    assert "no_such_layer" in str(one.error) and one.error is other.error


@pytest.mark.parametrize(
    ("formats", "precisions", "options", "reason"),
    [
        (["onnx"], ["int8"], {}, "to web int8 alone, not to onnx int8"),
        (["web"], ["fp32"], {}, "--precision int8"),
        (["web"], ["int8"], {"max_drop": 1.0, "samples": 5}, "--samples, --max-drop cannot change it"),
    ],
)
def test_what_cannot_be_made_of_an_artifact_is_refused(
    base: Artifact, formats: list[str], precisions: list[str], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ExportError) as caught:
        edge_fm.export(base.path, formats, precisions, options=ExportOptions(**options))
    assert reason in str(caught.value)


def test_photos_may_become_pixels_in_another_way(base: Artifact, tmp_path: Path) -> None:
    found = replace(base, metadata=replace(base.metadata, photo=PhotoSpec("garment", "dark", 9)))
    first = make_page(found, tmp_path, STAND_IN)
    assert any("photo mode garment is not computed" in note for note in (first.metadata.source or {})["notes"])
    (made,) = web_from_onnx(first, Target("web", "int8"), tmp_path, runtime=STAND_IN, photo="fit").results
    assert made.metadata.photo == PhotoSpec("fit", "dark", 9)
    assert f"Photos become pixels by fit; in {first.metadata.name} they do by garment." in made.notes
    assert not any("not computed" in note for note in made.notes)
    assert "photo mode garment" not in (made.path / "README.md").read_text()


def test_a_plan_names_the_folder(base: Artifact) -> None:
    from edge_fm.api.export import plan_export

    (planned,) = plan_export(base.path, "web", "int8").targets
    assert planned.folder == "tiny-grey-web-int8"
    with pytest.raises(ExportError, match="alone, not to web fp32"):
        plan_export(base.path, "web", "fp32")


def test_an_artifact_of_another_format_is_refused(exported: Callable[..., Any]) -> None:
    path = exported("grey", Target("savedmodel", "fp32")).path
    with pytest.raises(ExportError, match="of those alone that are onnx"):
        edge_fm.export(path, "web")


def test_golden_predictions_that_are_others_stop_it(
    base: Artifact, tmp_path: Path, exported: Callable[..., Any]
) -> None:
    other = exported("grey", Target("onnx", "fp32")).path / "model.onnx"
    with pytest.raises(GateError, match="differ"):
        make_page(replace(base, payload=_negated(other, tmp_path)), tmp_path / "out", STAND_IN)
    assert not list((tmp_path / "out").glob("*"))


def _negated(model: Path, folder: Path) -> Path:
    """A model that gives the probabilities of the classes in the reverse order."""
    import onnx

    graph = onnx.load(model)
    output = graph.graph.output[0].name
    for node in graph.graph.node:
        node.output[:] = ["reversed_input" if name == output else name for name in node.output]
    index = onnx.numpy_helper.from_array(np.arange(3, -1, -1), "reversed")
    graph.graph.initializer.append(index)
    graph.graph.node.append(onnx.helper.make_node("Gather", ["reversed_input", "reversed"], [output], axis=1))
    onnx.save(graph, folder / "other.onnx")
    return folder / "other.onnx"
