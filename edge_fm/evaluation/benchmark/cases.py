"""What a benchmark measures: artifacts, the original, the bare libraries, and the engine that computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from edge_fm.evaluation.benchmark.bare_libraries import BARE_ENGINES, BARE_OF
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.engines import ENGINES, Engine, EngineOptions, create_engine
from edge_fm_runtime.measurement.probe import OPEN_ARTIFACT

if TYPE_CHECKING:
    from edge_fm_export.context import SourceModel
    from edge_fm_runtime.artifacts.artifact import Artifact

OPEN_REFERENCE = "edge_fm.evaluation.benchmark.cases:open_reference"

Kind: TypeAlias = Literal["artifact", "reference", "bare", "null"]
"""artifact: what is sold; reference: the original; bare: a library without us; null: the harness's own cost."""


@dataclass(frozen=True, eq=False)
class Case:
    """One model on one engine.

    Attributes:
        model: what the row is called.
        kind: see `Kind`.
        engine: running; made for single images, or for `fixed_batch`.
        shape: height, width, channels of one image.
        fixed_batch: the only batch size that it takes, or None for any.
        opener: "module:function" that opens it in a process of its own, see `probe`.
        path: what the opener opens.
        engine_name: as the opener takes it.
        options: of the engine.
        images: uint8 `[n,H,W,C]` to run, n of at least 1; repeated to fill a batch.
        reopen: the same engine again with other options, where it makes a difference; None where it does not.
        classify_photo: classifies a photo's path, from file to class; None where the model takes no photos.
        facts: what is known about the artifact beside its cost, for the row.
    """

    model: str
    kind: Kind
    engine: Engine
    shape: tuple[int, int, int]
    fixed_batch: int | None
    opener: str
    path: str
    engine_name: str
    options: EngineOptions
    images: Pixels
    reopen: Callable[[EngineOptions], Engine] | None = None
    classify_photo: Callable[[str], object] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def batch(self, size: int) -> Pixels:
        """`size` images, uint8 `[size,H,W,C]`."""
        return np.ascontiguousarray(np.resize(self.images, (size, *self.images.shape[1:])))


@contextmanager
def closing_engines(cases: Sequence[Case]) -> Iterator[None]:
    """Close the engines of all cases at the end."""
    with ExitStack() as engines:
        for case in cases:
            engines.callback(case.engine.close)
        yield


def artifact_case(
    artifact: Artifact,
    engine: str,
    options: EngineOptions,
    *,
    registry: Mapping[str, str],
    images: Pixels | None = None,
) -> Case:
    """Make a case of an artifact; the images are its golden inputs unless others are given.

    Raises:
        EngineError, DeviceError, MissingDependencyError: see `create_engine`.
    """
    from edge_fm_runtime.classifier import Classifier

    runner = create_engine(artifact, engine, options=options, registry=registry)
    spec = artifact.metadata.input
    return Case(
        model=artifact.metadata.name,
        kind="reference" if runner.name == "savedmodel" else "artifact",
        engine=runner,
        shape=spec.shape,
        fixed_batch=spec.batch,
        opener=OPEN_ARTIFACT if runner.name in ENGINES else OPEN_REFERENCE,
        path=str(artifact.path.resolve()),
        engine_name=runner.name,
        options=options,
        images=example_images(artifact) if images is None else images,
        reopen=lambda other: create_engine(artifact, runner.name, options=other, registry=registry),
        classify_photo=Classifier(artifact, runner).classify if spec.channels in (1, 3) else None,
        facts=_facts(artifact),
    )


def bare_case(artifact: Artifact, case: Case) -> Case | None:
    """The library of `case` without us, same payload, same options; None where there is none."""
    name = BARE_OF.get(case.engine.name)
    if name is None or case.options.device != "CPU":
        return None

    def reopen(options: EngineOptions) -> Engine:
        return create_engine(artifact, name, options=options, registry=BARE_ENGINES)

    return replace(
        case,
        model=f"{case.model} ({name.replace('-', ' ')})",
        kind="bare",
        engine=reopen(case.options),
        opener=OPEN_REFERENCE,
        engine_name=name,
        reopen=reopen,
        classify_photo=None,
        facts={"of": case.model, "of_engine": case.engine.name},
    )


def null_case(artifact: Artifact, images: Pixels) -> Case:
    """The engine that computes nothing: its time is what measuring itself costs."""
    return replace(
        artifact_case(artifact, "null", EngineOptions(), registry=ENGINES, images=images),
        model="nothing",
        kind="null",
        classify_photo=None,
        facts={},
    )


def reference_cases(path: Path, options: EngineOptions, images: Pixels, *, like: Artifact | None = None) -> list[Case]:
    """Make cases of the Keras original, called and through `predict`.

    Args:
        path: run folder or model file.
        options: of Keras.
        images: to run.
        like: an artifact of the same model, whose way from photo to canvas the original is given as well.
    """
    from edge_fm_export.sources import load_source

    size = None if like is None else (like.metadata.input.height, like.metadata.input.width)
    source = load_source(path, input_size=size)
    return [_reference_case(source, name, path, options, images, like) for name in ("keras", "keras-predict")]


def _reference_case(
    source: SourceModel, name: str, path: Path, options: EngineOptions, images: Pixels, like: Artifact | None
) -> Case:
    engine = _keras_engine(source, name, options)
    shape = source.input.shape
    classify = None
    if like is not None and shape[2] in (1, 3):
        spec = like.metadata.photo

        def classify(photo: str) -> object:
            from edge_fm_runtime.photos.photo import load_canvas

            return engine.infer(load_canvas(photo, shape, spec)[None])

    return Case(
        model=f"{source.name} ({name})",
        kind="reference",
        engine=engine,
        shape=shape,
        fixed_batch=None,
        opener=OPEN_REFERENCE,
        path=str(path.resolve()),
        # The size goes along for models that take any size, or flat vectors.
        engine_name=name if like is None else f"{name}:{shape[0]}x{shape[1]}",
        options=options,
        images=images,
        classify_photo=classify,
        facts={"format": "keras", "stored_precision": "fp32", "bytes": _bytes(_model_file(path))},
    )


def open_reference(path: str, engine: str, options: EngineOptions) -> tuple[Engine, tuple[int, int, int]]:
    """Open the Keras original, a SavedModel artifact, a bare library or a browser; for `probe`."""
    from edge_fm_export.browser_runtime import BROWSER_ENGINES
    from edge_fm_export.engines import REFERENCE_ENGINES
    from edge_fm_runtime.artifacts.artifact import load_artifact

    registry = {**BARE_ENGINES, **BROWSER_ENGINES, "savedmodel": REFERENCE_ENGINES["savedmodel"]}
    if engine in registry:
        artifact = load_artifact(path)
        opened = create_engine(artifact, engine, options=options, registry=registry)
        return opened, artifact.metadata.input.shape
    from edge_fm_export.sources import load_source

    name, _, size = engine.partition(":")
    height, _, width = size.partition("x")
    source = load_source(Path(path), input_size=(int(height), int(width)) if size else None)
    return _keras_engine(source, name, options), source.input.shape


def _keras_engine(source: SourceModel, name: str, options: EngineOptions) -> Engine:
    from edge_fm_export.engines import reference_engine

    return reference_engine(name, source, options)


def _facts(artifact: Artifact) -> dict[str, Any]:
    """What belongs beside an artifact's cost, from its metadata; None where it is not there."""
    metadata = artifact.metadata
    parity, accuracy, graph = (dict(part or {}) for part in (metadata.parity, metadata.accuracy, metadata.graph))
    names: tuple[str, ...] = ("max_abs_diff", "top1_agreement", "accuracy_reference", "drop_points", "drop_ci95")
    if metadata.task is not None:  # accuracies are mAPs, as the gate's drop
        same = {"top1_agreement": parity.get("label_agreement"), "accuracy_reference": parity.get("map_reference")}
        parity |= {**same, "measure": accuracy.get("measure")}
        names = (*names, "measure")
    return {
        "format": metadata.format,
        "stored_precision": metadata.precision,
        "bytes": _bytes(artifact.payload),
        "accuracy": accuracy.get("value"),
        "accuracy_n": accuracy.get("n"),
        "accuracy_dataset": accuracy.get("dataset"),
        "macs": graph.get("macs"),
        "parameters": graph.get("parameters"),
        **{name: parity.get(name) for name in names},
    }


def _bytes(path: Path) -> int | None:
    """Size of a payload on disk, an IR's weights included."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) or None


def _model_file(path: Path) -> Path:
    return path / "model.keras" if (path / "model.keras").is_file() else path


def example_images(artifact: Artifact) -> Pixels:
    """The golden inputs of an artifact, uint8 `[N,H,W,C]`, or 32 random images where it has none."""
    from edge_fm_runtime.artifacts.golden import GOLDEN_FILE, golden_of

    if not artifact.bare and GOLDEN_FILE in artifact.metadata.files:
        return golden_of(artifact).images
    return np.random.default_rng(0).integers(0, 256, (32, *artifact.metadata.input.shape), dtype=np.uint8)
