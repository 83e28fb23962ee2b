"""`evaluate`: accuracy, confusion and more of an artifact or a run, on labelled images."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import run_of, select_artifact
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_fm.api.common.opened_model import OpenedModel
    from edge_fm.evaluation import Evaluation
    from edge_fm.evaluation.multi_label import MultiLabelEvaluation
    from edge_fm_runtime.engines import Engine

BATCH_SIZE = 256
_MAPPED = 3
"""Images whose feature maps are drawn."""


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """What an evaluation found.

    Attributes:
        model: as it was named.
        path: the artifact, run or model file.
        is_artifact: whether it is an artifact, which needs no Keras.
        engine: library that ran the model.
        device: the device that really ran.
        precision: the arithmetic that really ran.
        data: name of the dataset.
        split: which of its images.
        evaluation: the figures.
        inference: how long the model took: "ms_per_image", "images_per_s", "batch" and "threads".
        scores: the model's temperature, figures of its scores without it on these images, and what its threshold does
            to them; each None where the model has none. Of a multi-label model, where its thresholds were fitted.
        warnings: what a person should know before trusting the figures, one sentence each.
        report: the page that was written; None where none was requested.
    """

    model: str
    path: Path
    is_artifact: bool
    engine: str
    device: str
    precision: str
    data: str
    split: str
    evaluation: Evaluation | MultiLabelEvaluation
    inference: Mapping[str, float | int | None]
    scores: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    report: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm evaluate --json` prints."""
        return {
            "model": self.model,
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
            "data": self.data,
            "split": self.split,
            **self.evaluation.to_json(),
            "inference": dict(self.inference),
            "scores": dict(self.scores),
            "warnings": list(self.warnings),
        }


def evaluate(
    model: str | Path | None = None,
    *,
    data: str | None = None,
    split: str = "test",
    report: str | Path | None = None,
    layer: str | None = None,
    batch_size: int = BATCH_SIZE,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
    warn: MessageFn = ignore_message,
) -> EvaluationResult:
    """Classify labelled images and count: accuracy, loss, figures of each class, confusion matrix.

    Of a multi-label model: mAP, loss, and the figures of each label at its threshold.

    Args:
        model: an artifact, a run, a Keras file or a trained model of the package; None for the artifact that `edgefm
            infer` would take.
        data: source of the labelled images; None for what the model was trained on.
        split: "test", "train", "validation" or "all".
        report: folder for evaluation.json, plots and report.html; None writes nothing.
        layer: layer of a run whose feature maps the report draws; None for the first convolution.
        batch_size: images through the engine at once.
        skip_unreadable: share of a folder's images that may be left out; None for what the run's training left out.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the run's training said of the same source.
        label_column: column of a manifest that holds the labels; None for what it said, else to tell by the names.
        engine: library that runs an artifact.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        progress: called as work goes on.
        note: called with the choices that were made.
        warn: called with what the worth of the figures depends on.

    Raises:
        EdgeFMError: the model or the images cannot be read, or do not fit each other.
    """
    from edge_fm.api.common.labelled import learned_from, load_labelled, require_unchanged, select_images
    from edge_fm.api.common.opened_model import open_model
    from edge_fm.api.common.original import own_data
    from edge_fm.api.common.reading import Reading
    from edge_fm.evaluation import evaluate_probabilities
    from edge_fm.evaluation.multi_label import evaluate_multi_label
    from edge_fm.evaluation.scores import evaluate_scores
    from edge_fm.models.records import trained_model
    from edge_fm_runtime.engines import EngineOptions
    from edge_fm_runtime.parity.chance import accuracy_warning
    from edge_fm_runtime.parity.multi_label import multi_label_warning
    from edge_fm_runtime.parity.own_training import own_training

    if layer is not None and report is None:
        raise DataError("A layer was named, but no report that draws its maps.", hint="Add --report DIR.")
    if report is not None:
        from edge_fm.evaluation.page import require_pages

        require_pages()
    path = select_artifact(None, note) if model is None else trained_model(model)
    named = path.name if model is None else str(model)
    opened = open_model(path, engine, EngineOptions(device, threads), warn)
    name = data or own_data(path, opened.training)
    if name is None:
        raise DataError(
            f"{named} does not name the data it was trained on.", hint="Name labelled images: --data SOURCE"
        )
    reading = Reading(skip_unreadable, group, label_column)
    if opened.task is not None and report is not None:
        raise DataError(
            f"{named} is multi-label; the page of an evaluation is for one class of many.",
            hint="Leave out --report; --json has every figure.",
        )
    dataset = load_labelled(
        name, opened.shape, opened.photo, opened.training, reading, task=opened.task, progress=progress, note=note
    )
    if data is None:
        require_unchanged(name, dataset, opened.training)
    selected = select_images(dataset, split, opened.labels, opened.shape)
    maps = None if report is None else _feature_maps(opened.original, layer, selected.images)
    stage = f"{dataset.name} {split}"
    with closing(opened.engine) as running:
        probabilities, inference = _predict(running, selected.images, batch_size, f"evaluating on {stage}", progress)
        ran = (running.name, running.device, running.precision)
        evaluation: Evaluation | MultiLabelEvaluation
        heatmaps = None
        if opened.thresholds is not None:
            evaluation = evaluate_multi_label(probabilities, selected.labels, opened.labels, opened.thresholds)
            doubt = multi_label_warning(probabilities, selected.labels, who=named, data=stage)
            scores = {"label_thresholds": (opened.scores or {}).get("label_thresholds")}
        else:
            evaluation = evaluate_probabilities(probabilities, selected.labels, opened.labels, files=selected.files)
            doubt = accuracy_warning(
                probabilities.argmax(axis=1),
                selected.labels,
                opened.labels,
                who=named,
                data=stage,
                trained=own_training(opened.training, run_of(path)),
            )
            scores = evaluate_scores(probabilities, selected.labels, opened.scores)
            if report is not None:
                heatmaps = _heatmaps(opened, evaluation, selected.images)
    learned = learned_from(dataset, split, selected.images, opened.training)
    warnings = tuple(text for text in (doubt, learned) if text is not None)
    is_artifact = opened.original is None
    result = EvaluationResult(
        named, path, is_artifact, *ran, dataset.name, split, evaluation, inference, scores, warnings
    )
    if report is not None:
        from edge_fm.evaluation import Evaluated, write_report

        mapped, drawn, shown = maps or ("", None, None)
        evaluated = Evaluated(
            selected.images,
            selected.labels,
            probabilities,
            opened.labels,
            _history(path),
            {**(opened.training or {}), **_metrics(path)},
            mapped,
            drawn,
            shown,
            files=selected.files,
            heatmaps=heatmaps,
        )
        page = write_report(Path(report), result.to_json(), evaluated)
        result = replace(result, report=page)
        note(f"Wrote {page}")
    for text in warnings:
        warn(text)
    return result


def _predict(
    runner: Engine, images: Any, batch_size: int, stage: str, progress: ProgressFn
) -> tuple[Any, dict[str, float | int | None]]:
    """The predictions of all images, and how long they took; the first of several batches warms up and is not timed."""
    import numpy as np

    predictions: list[Any] = []
    seconds = timed = 0.0
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        began = time.perf_counter()
        predictions.append(runner.predict_all(batch))
        took = time.perf_counter() - began
        if start or len(images) <= batch_size:
            seconds, timed = seconds + took, timed + len(batch)
        progress(stage, min(start + batch_size, len(images)), len(images))
    return np.concatenate(predictions), {
        "ms_per_image": 1000 * seconds / timed,
        "images_per_s": timed / seconds,
        "batch": batch_size,
        "threads": runner.threads,
    }


def _feature_maps(model: Any, layer: str | None, images: Any) -> tuple[str, Any, Any] | None:
    """The layer, its maps and the images they are of; None for an artifact, which has no layers to ask."""
    from edge_fm.evaluation.feature_maps import feature_maps, first_convolution, map_layers
    from edge_fm_runtime.errors import ModelError

    if model is None:
        if layer is not None:
            raise ModelError(
                "Feature maps are drawn from a Keras model; an artifact has none.",
                hint="edgefm evaluate RUN --report DIR",
            )
        return None
    if layer is None:
        if not map_layers(model):
            return None
        layer = first_convolution(model)
    shown = images[:: max(1, len(images) // _MAPPED)][:_MAPPED]
    return layer, feature_maps(model, shown, layer=layer), shown


def _heatmaps(opened: OpenedModel, evaluation: Evaluation, images: Any) -> Any:
    """Where the model saw the classes that it predicted wrongly, for the report; None where that is not known."""
    from edge_fm.evaluation.worst_section import heatmaps_of

    return heatmaps_of(
        evaluation.worst, images, opened.labels, engine=opened.engine, outputs=opened.outputs, model=opened.original
    )


def _metrics(run: Path) -> dict[str, Any]:
    """What a run knows of its training; nothing for an artifact."""
    from edge_fm_runtime.system.json_text import parse_json

    file = run / "metrics.json"
    return dict(parse_json(file.read_bytes())) if file.is_file() else {}  # load_source has checked it


def _history(run: Path) -> list[dict[str, float]]:
    """The epochs of a run, for its learning curves; nothing for an artifact."""
    import csv

    file = run / "history.csv"
    if not file.is_file():
        return []
    with file.open(newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
