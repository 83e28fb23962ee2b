"""`quickstart`: the whole way once, on the images that come with the package."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.engines import ALL_ENGINES, select_engine
from edge_fm.api.common.export_options import ExportOptions, requested_targets
from edge_fm.api.common.places import EXPORTS
from edge_fm.api.train import TrainOptions, prepare_training, train_prepared
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset
    from edge_fm.evaluation.benchmark.statistics import Verdict
    from edge_fm.training import EpochFn, RunResult
    from edge_fm_export.results import ExportResult
    from edge_fm_runtime.artifacts.artifact import Artifact

_SAMPLE = "Ankle boot"
"""The class of the sample photo, which is made from its first test image."""
_DURATION_S = 1.0
"""Counted seconds of each way to run: the least that a valid measurement takes."""


@dataclass(frozen=True, eq=False)
class QuickstartResult:
    """What the quickstart trained, exported, measured and classified.

    Attributes:
        trained: the training run.
        seconds: duration of the whole.
        rows: what the original, called in two ways, and each artifact cost and lost, as `edgefm quickstart --json`
            prints them.
        verdict: whether the measurement is valid, and why not.
        artifact: the artifact that classified the photo: ONNX, fp32.
        photo: a photo made from a test image.
        label: the predicted class of the photo.
        score: the probability of that class.
        truth: the true class of the photo.
    """

    trained: RunResult
    seconds: float
    rows: tuple[Mapping[str, Any], ...]
    verdict: Verdict
    artifact: Path
    photo: Path
    label: str
    score: float
    truth: str

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm quickstart --json` prints."""
        return {
            "run": str(self.trained.run_dir),
            "seconds": round(self.seconds, 1),
            "rows": list(self.rows),
            **self.verdict.to_json(),
            "photo": {"path": str(self.photo), "label": self.label, "score": self.score, "truth": self.truth},
        }


def quickstart(
    out: str | Path | None = None,
    *,
    epochs: int | None = None,
    train: Callable[..., RunResult] = train_prepared,
    progress: ProgressFn = silent,
    on_epoch: EpochFn | None = None,
    note: MessageFn = ignore_message,
    warn: MessageFn = ignore_message,
) -> QuickstartResult:
    """Train a small model, export it to every format and precision, measure each artifact, and classify a photo.

    Needs no network: 7,000 images of Fashion-MNIST come with the package.

    Args:
        out: folder of the run; None for a new one under runs/.
        epochs: passes over the training images; None for the recipe's, about a minute.
        train: what trains the prepared run; takes the arguments of `train_prepared`.
        progress: called as work goes on.
        on_epoch: called with each epoch's figures.
        note: called as each step begins.
        warn: called with what the worth of the artifacts depends on.

    Raises:
        GateError: an artifact is out of tolerance.
        EdgeFMError: a package is missing, or the folder cannot be used.
    """
    from edge_fm.api.export import export
    from edge_fm_export.planning import require_ready
    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.errors import SignatureError

    if REQUIRE_SIGNATURE in os.environ:
        raise SignatureError(
            f"{REQUIRE_SIGNATURE} is set, and quickstart runs artifacts that it has just made, which nobody signed.",
            hint=f"Run it without: env -u {REQUIRE_SIGNATURE} edgefm quickstart",
        )
    require_ready(requested_targets("all", "all", ExportOptions(), ignore_message)[0])
    started = time.monotonic()
    prepared = prepare_training(
        "quickstart", out=out, options=TrainOptions(epochs=epochs), progress=progress, note=note
    )
    dataset = prepared.dataset
    with prepared.folder() as run:
        images = len(dataset.train.images)
        note(f"1. Train {prepared.recipe.model.name} on {dataset.name} ({images:,} images), into {run}")
        trained = train(prepared, run, progress=progress, on_epoch=on_epoch, note=note)
    note("2. Export to every format and precision, each gated against the Keras original")
    exported = export(run, "all", "all", out=run / EXPORTS, progress=progress, note=note, warn=warn).results
    note("3. Measure each beside Keras, interleaved in one run")
    rows, verdict = _measure(trained, exported, progress)
    note("4. Classify a photo made from a test image")
    photo = _sample_photo(dataset, run / "photo.jpg")
    artifact = next(r.path for r in exported if (r.target.format, r.target.precision) == ("onnx", "fp32"))
    with Classifier.load(artifact) as classifier:
        best = classifier.classify(photo).top[0]
    seconds = time.monotonic() - started
    return QuickstartResult(trained, seconds, tuple(rows), verdict, artifact, photo, best.label, best.score, _SAMPLE)


def _measure(
    trained: RunResult, exported: Sequence[ExportResult], progress: ProgressFn
) -> tuple[list[dict[str, Any]], Verdict]:
    """One row for each way to call the original and one for each artifact: what it costs and what it lost."""
    from edge_fm.evaluation.benchmark.benchmark import run_benchmark
    from edge_fm.evaluation.benchmark.cases import artifact_case, closing_engines, reference_cases
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions

    options = EngineOptions()
    cases = []
    for result in exported:
        artifact = load_artifact(result.path)
        cases.append(artifact_case(artifact, _engine_of(artifact), options, registry=ALL_ENGINES))
    cases += reference_cases(trained.run_dir, options, cases[0].images)
    with closing_engines(cases):  # the report asks the engines what ran
        report = run_benchmark(cases, duration_s=_DURATION_S, progress=progress)
        measured = report.to_json()["rows"]
    timed = {row["model"]: row for row in measured}
    by_engine = {row["engine"]: row for row in measured}
    predict_ms = by_engine["keras-predict"]["p50_ms"]

    def cost(row: Mapping[str, Any]) -> dict[str, Any]:
        keys = ("engine", "p50_ms", "load_ms", "peak_rss_mib")
        return {k: row[k] for k in keys} | {"times_faster": predict_ms / row["p50_ms"]}

    original = {"format": "keras", "precision": "fp32", "bytes": None, "accuracy": trained.metrics["test_accuracy"]}
    original |= {"drop_points": 0.0, "agreement": 1.0}
    rows = [
        {"model": name, **original, **cost(by_engine[engine])}
        for name, engine in (("Keras predict", "keras-predict"), ("Keras call", "keras"))
    ]
    for result in exported:
        parity = result.parity
        row = {
            "model": result.path.name,
            "format": result.target.format,
            "precision": result.target.precision,
            "bytes": result.bytes,
            "accuracy": parity.accuracy,
            "drop_points": parity.drop_points,
            "agreement": parity.top1_agreement,
        }
        rows.append(row | cost(timed[result.path.name]))
    return rows, report.verdict


def _engine_of(artifact: Artifact) -> str:
    """The engine that an artifact is measured on: its format's own, for a page headless Chromium where there is one."""
    from edge_fm_export.browser_runtime.chromium import has_chromium

    return "web" if artifact.metadata.format == "web" and has_chromium() else select_engine(artifact, "auto")


def _sample_photo(dataset: Dataset, file: Path) -> Path:
    from edge_fm.data import sample_photo

    first = int((dataset.test.labels == dataset.label_names.index(_SAMPLE)).argmax())
    return sample_photo(dataset.test.images[first], file)
