"""Every format and precision in the table, from end to end: what ships predicts like the original, and stays whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import TARGETS, export
from tiny_models import TINY_SHAPES, tiny_images, tiny_set

from edge_fm_export.engines import REFERENCE_ENGINES, reference_engine
from edge_fm_export.gate.gate import verify_against
from edge_fm_export.results import ExportFailure, ExportReport, ExportResult
from edge_fm_export.targets import BUILDERS, CALIBRATED, Target, parse_targets
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.files import list_files
from edge_fm_runtime.artifacts.golden import load_golden
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.engines import ENGINES, create_engine
from edge_fm_runtime.errors import EngineError, ExportError, GateError
from edge_fm_runtime.parity.checks import Limits
from edge_fm_runtime.parity.verification import verify_golden

ALL_ENGINES = {**ENGINES, **REFERENCE_ENGINES}
FLOATS = [t for t in BUILDERS if t.precision == "fp32"]
Exported = Callable[[str, Target], ExportResult]

pytestmark = pytest.mark.slow

targets = pytest.mark.parametrize("target", TARGETS, ids=str)
kinds = pytest.mark.parametrize("kind", TINY_SHAPES)


@targets
@kinds
def test_the_artifact_is_complete_and_passes_its_golden_predictions(
    kind: str, target: Target, exported: Exported
) -> None:
    result = exported(kind, target)
    artifact = load_artifact(result.path)
    metadata = artifact.metadata
    assert metadata == parse_metadata((result.path / "edgefm.json").read_bytes(), where="edgefm.json")
    assert {"golden.npz", "README.md"} < set(metadata.files) == set(list_files(result.path))
    assert (metadata.format, metadata.precision) == (target.format, target.precision)
    assert metadata.source is not None and metadata.accuracy is not None and metadata.graph is not None
    assert metadata.accuracy["n"] == 200 and metadata.accuracy["value"] > 0.9
    assert metadata.graph["macs"] > metadata.graph["parameters"] > 0 < metadata.graph["nodes"]
    assert metadata.graph["bytes"] == result.bytes
    assert (metadata.quantization is not None) == (target.precision in CALIBRATED)
    engine = create_engine(artifact, registry=ALL_ENGINES)
    verification = verify_golden(artifact, engine)
    engine.close()
    assert verification.passed, verification.checks
    card = (result.path / "README.md").read_text()
    assert all(label in card for label in metadata.labels)


@targets
@kinds
def test_it_takes_bigger_batches_than_it_was_made_with(kind: str, target: Target, exported: Exported) -> None:
    artifact = load_artifact(exported(kind, target).path)
    images, labels = tiny_images(TINY_SHAPES[kind], 300, seed=9)
    engine = create_engine(artifact, registry=ALL_ENGINES)
    predictions = engine.infer(images)
    again = np.concatenate([engine.infer(images[i : i + 1]) for i in range(5)])
    engine.close()
    assert predictions.shape == (300, len(artifact.metadata.labels)) and predictions.dtype == np.float32
    np.testing.assert_allclose(predictions.sum(axis=1), 1.0, atol=1e-2)
    np.testing.assert_allclose(predictions[:5], again, atol=0.05)
    assert (predictions.argmax(axis=1) == labels).mean() > 0.9


@targets
def test_twice_gives_the_same_bytes(
    target: Target, exported: Exported, tiny_runs: dict[str, Any], tmp_path: Path
) -> None:
    from edge_fm_export.sources import load_source

    first = exported("grey", target)
    shape = TINY_SHAPES["grey"]
    again = export(
        load_source(tiny_runs["grey"].folder),
        [target],
        tmp_path,
        test=tiny_set(shape, 200, seed=2),
        calibration=tiny_set(shape, 100, seed=3),
        validation=tiny_set(shape, 100, seed=4),
    ).results[0]
    assert hashes(again.path) == hashes(first.path)


def hashes(folder: Path) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in list_files(folder)}


@pytest.mark.parametrize("target", [t for t in BUILDERS if t.format in ("onnx", "openvino")], ids=str)
def test_a_bare_file_carries_its_metadata(target: Target, exported: Exported, tmp_path: Path) -> None:
    result = exported("grey", target)
    for name in list_files(result.path):
        if name.startswith("model."):
            (tmp_path / name).write_bytes((result.path / name).read_bytes())
    bare = load_artifact(tmp_path / result.metadata.payload)
    assert bare.bare
    written = result.metadata
    graph = {k: v for k, v in (written.graph or {}).items() if k != "bytes"}  # its own size is no part of a file
    assert bare.metadata == replace(written, files={}, parity=None, accuracy=None, graph=graph)
    images, labels = tiny_images(TINY_SHAPES["grey"], 40, seed=9)
    assert (create_engine(bare).infer(images).argmax(axis=1) == labels).mean() > 0.9


@pytest.mark.parametrize("kind", TINY_SHAPES)
@pytest.mark.parametrize("target", parse_targets(("onnx", "litert"), ("fp32", "int8")), ids=str)
def test_generated_golden_images_show_none_of_the_data(
    target: Target, kind: str, tiny_sources: dict[str, Any], tmp_path: Path
) -> None:
    shape = TINY_SHAPES[kind]
    test, calibration = tiny_set(shape, 50, seed=2), tiny_set(shape, 100, seed=3)
    result = export(
        tiny_sources[kind], [target], tmp_path, test=test, calibration=calibration, golden="generated"
    ).results[0]
    golden = load_golden(result.path / "golden.npz")
    known = {image.tobytes() for part in (test, calibration) for image in part.images}
    assert 0 < len(golden.images) <= 32 and not known & {image.tobytes() for image in golden.images}
    assert (result.metadata.parity or {})["golden_images"] == "generated"
    engine = create_engine(load_artifact(result.path))
    assert verify_golden(load_artifact(result.path), engine).passed
    np.testing.assert_allclose(engine.infer(golden.images), golden.exported, atol=1e-5)
    engine.close()


@pytest.mark.parametrize("target", [t for t in BUILDERS if t.format in ("onnx", "openvino")], ids=str)
def test_a_fixed_batch_is_exported_and_recorded(target: Target, tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    shape = TINY_SHAPES["colour"]
    result = export(
        tiny_sources["colour"],
        [target],
        tmp_path,
        test=tiny_set(shape, 50, seed=2),
        calibration=tiny_set(shape, 100, seed=3),
        static_batch=5,
    ).results[0]
    assert result.metadata.input.batch == 5
    artifact = load_artifact(result.path)
    engine = create_engine(artifact)
    assert verify_golden(artifact, engine).passed
    images, labels = tiny_images(shape, 5, seed=9)
    assert list(engine.infer(images).argmax(axis=1)) == list(labels)


def test_a_failed_gate_leaves_nothing_and_tells_every_check(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    impossible = Limits(max_abs_diff=-1.0, min_agreement=1.1)
    with pytest.raises(GateError) as caught:
        export(
            tiny_sources["grey"],
            parse_targets("onnx,openvino"),
            tmp_path / "out",
            test=tiny_set((28, 28, 1), 40, seed=2),
            limits_override=impossible,
        )
    failed = {
        (targets, check.split(" ")[0]) for targets, _, check in (f.partition(": ") for f in caught.value.failures)
    }
    # Agreement is the same in both and is said once; each has a largest difference of its own.
    assert failed == {
        ("onnx fp32; openvino fp32", "top1_agreement"),
        ("onnx fp32", "max_abs_diff"),
        ("openvino fp32", "max_abs_diff"),
    }
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_a_failed_gate_keeps_the_old_artifact_and_the_others(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    source, test = tiny_sources["grey"], tiny_set((28, 28, 1), 40, seed=2)
    export(source, [Target("onnx", "fp32")], tmp_path, test=test)
    before = hashes(tmp_path / "tiny-grey-onnx-fp32")
    with pytest.raises(GateError, match="savedmodel") as caught:
        # A SavedModel predicts bit for bit like Keras only by luck; ONNX does not at all.
        export(
            source,
            parse_targets("savedmodel,onnx"),
            tmp_path,
            test=test,
            limits_override=Limits(max_abs_diff=-1.0),
        )
    assert f"Unchanged, from an earlier export: {tmp_path / 'tiny-grey-onnx-fp32'}." in str(caught.value)
    assert hashes(tmp_path / "tiny-grey-onnx-fp32") == before
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-grey-onnx-fp32"]


def test_every_older_artifact_that_stands_is_named(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "two", "three")]
    errors = [ExportError(f"{places[0]} cannot be replaced."), ExportError("It fails."), ExportError("It fails, too.")]
    failures = [
        ExportFailure(place.name, target, error, older=place)
        for place, target, error in zip(places, BUILDERS, errors, strict=False)
    ]
    report = ExportReport((), np.zeros((0, 4), np.float32), tuple(failures))
    with pytest.raises(ExportError) as caught:
        report.require_all()
    assert f"Unchanged, from an earlier export: {tmp_path / 'two'}, {tmp_path / 'three'}." in str(caught.value)


def test_an_artifact_that_was_replaced_says_so(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    source, test = tiny_sources["grey"], tiny_set((28, 28, 1), 40, seed=2)
    reports = [export(source, [Target("onnx", "fp32")], tmp_path, test=test).to_json()[0] for _ in range(2)]
    assert [report["replaced"] for report in reports] == [False, True]


def test_without_labels_the_gate_checks_agreement(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    result = export(
        tiny_sources["grey"],
        [Target("onnx", "int8")],
        tmp_path,
        test=tiny_set((28, 28, 1), 80, seed=2, labelled=False),
        calibration=tiny_set((28, 28, 1), 100, seed=3),
    ).results[0]
    assert result.metadata.accuracy is None and result.parity.accuracy is None
    assert "top1_agreement" in [check.name for check in result.checks]


def test_int8_without_calibration_and_calibration_on_the_test_set_are_refused(
    tiny_sources: dict[str, Any], tmp_path: Path
) -> None:
    test = tiny_set((28, 28, 1), 40, seed=2)
    with pytest.raises(ExportError, match="--calibration"):
        export(tiny_sources["grey"], [Target("onnx", "int8")], tmp_path / "a", test=test)
    with pytest.raises(ExportError, match="40 of the 40 calibration images are test images"):
        export(tiny_sources["grey"], [Target("onnx", "int8")], tmp_path / "b", test=test, calibration=test)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_refused_before_any_work(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tiny-grey-onnx-fp32").mkdir()
    (tmp_path / "tiny-grey-onnx-fp32" / "thesis.txt").write_text("mine")
    stages: list[str] = []
    with pytest.raises(ExportError, match="no artifact"):
        export(
            tiny_sources["grey"],
            [Target("onnx", "fp32")],
            tmp_path,
            test=tiny_set((28, 28, 1), 40, seed=2),
            force=True,
            progress=lambda stage, done, total: stages.append(stage),
        )
    assert stages == []
    assert (tmp_path / "tiny-grey-onnx-fp32" / "thesis.txt").exists()


@pytest.mark.parametrize("target", FLOATS, ids=str)
def test_verify_against_the_original(target: Target, exported: Exported, tiny_sources: dict[str, Any]) -> None:
    artifact = load_artifact(exported("grey", target).path)
    engine = create_engine(artifact, registry=ALL_ENGINES)
    test = tiny_set((28, 28, 1), 60, seed=7)
    right = verify_against(artifact, tiny_sources["grey"], test, engine)
    assert right.passed and right.parity.n == 60 and right.parity.drop_points == 0
    assert not verify_against(artifact, tiny_sources["grey"], test, engine, limits=Limits(max_abs_diff=-1.0)).passed
    with pytest.raises(EngineError, match="--against"):
        verify_against(artifact, tiny_sources["colour"], tiny_set((12, 10, 3), 60, seed=7), engine)


@pytest.mark.parametrize("name", ["keras", "keras-predict"])
def test_the_reference_engines_predict_like_the_model(name: str, tiny_sources: dict[str, Any]) -> None:
    source = tiny_sources["colour"]
    engine = reference_engine(name, source)
    images, labels = tiny_images(TINY_SHAPES["colour"], 40, seed=9)
    predictions = engine.infer(images)
    assert predictions.dtype == np.float32 and (predictions.argmax(axis=1) == labels).mean() > 0.9
    np.testing.assert_allclose(predictions, np.asarray(source.model(images, training=False)), atol=1e-5)
    assert (engine.name, engine.device, engine.precision) == (name, "CPU", "fp32") and engine.threads >= 1
    engine.close()
