"""`edgefm evaluate`: accuracy, confusion and more of an artifact or a run, on labelled images."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.api.places import choose_artifact
from edge_fm.cli.common import (
    Talk,
    artifact_word,
    engine_options,
    output_options,
    print_json,
    print_table,
    skip_unreadable_option,
)
from edge_fm_runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_fm.data import Dataset, Split
    from edge_fm_runtime.engines import Engine
    from edge_fm_runtime.metadata import PhotoSpec


_MAPPED = 3
"""Images whose feature maps are drawn."""


@click.command("evaluate")
@click.argument("given", metavar="[ARTIFACT|RUN]", required=False)
@click.option("--data", "source", metavar="SOURCE", help="Labelled images. Default: what the model was trained on.")
@click.option(
    "--split",
    type=click.Choice(["test", "train", "validation", "all"]),
    default="test",
    show_default=True,
    help="Which images; validation: a SOURCE's own; all: every image of a SOURCE that the model never saw.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="DIR", help="Write evaluation.json, plots and report.html."
)
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer of a run whose feature maps the report draws. Default: the first convolution.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=256, show_default=True, help="Images through the engine at once."
)
@skip_unreadable_option
@engine_options
@output_options
def command(
    given: str | None,
    source: str | None,
    split: str,
    report: Path | None,
    layer: str | None,
    batch_size: int,
    skip_unreadable: float | None,
    engine: str,
    device: str,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answer labelled images and count: accuracy, loss, precision, recall and F1 of each class, confusion matrix.

    Artifacts run on this device's own engine and need no Keras; a run is answered by Keras itself. The report is one
    file, report.html, that needs no network. Without ARTIFACT or RUN it is the one that `edgefm infer` would take.
    """
    from edge_fm.api.inputs import own_data
    from edge_fm.evaluation import evaluate_probabilities
    from edge_fm.models.records import trained_model
    from edge_fm_runtime.chance import chance_warning
    from edge_fm_runtime.engines import EngineOptions

    talk = Talk(quiet)
    if layer is not None and report is None:
        raise click.UsageError("--layer belongs to --report DIR.")
    if report is not None:
        from edge_fm.evaluation.page import require_pages

        require_pages()
    path = choose_artifact(given, talk.note) if given is None else trained_model(given)
    model = given or path.name
    runner, labels, photo, shape, training, original = _open(path, engine, EngineOptions(device, threads), talk)
    name = source or own_data(path, training)
    if name is None:
        raise DataError(
            f"{model} does not name the data it was trained on.", hint="Name labelled images: --data SOURCE"
        )
    dataset = load_labelled(name, shape, photo, talk, training, skip_unreadable)
    chosen = choose_images(dataset, split, labels, shape)
    images, truth = chosen.images, chosen.labels
    maps = None if report is None else _feature_maps(original, layer, images)
    with closing(runner):
        probabilities, inference = _answer(runner, images, batch_size, f"evaluating on {dataset.name} {split}", talk)
        result: dict[str, Any] = {"model": model, "engine": runner.name, "device": runner.device}
        result["precision"] = runner.precision
    evaluation = evaluate_probabilities(probabilities, truth, labels, files=chosen.files)
    result |= {"data": dataset.name, "split": split, **evaluation.to_json()}
    result["inference"] = inference
    warning = chance_warning(probabilities.argmax(axis=1), truth, labels, who=model, data=f"{dataset.name} {split}")
    warnings = [text for text in (warning, _learned_from(dataset, split, images, training)) if text is not None]
    result["warnings"] = warnings
    if report is not None:
        from edge_fm.evaluation import Evaluated, write_report

        known = {**(training or {}), **_metrics(path)}
        mapped, drawn, shown = maps or ("", None, None)
        history = _history(path)
        evaluated = Evaluated(
            images, truth, probabilities, labels, history, known, mapped, drawn, shown, files=chosen.files
        )
        talk.note(f"Wrote {write_report(report, result, evaluated)}")
    for text in warnings:
        talk.warn(text)
    if as_json:
        print_json(result)
    else:
        _print(result)
    verb = "benchmark" if original is None else "export"
    talk.next(f"edgefm {verb} {artifact_word(path)}")


def _learned_from(dataset: Dataset, split: str, images: Any, training: Mapping[str, Any] | None) -> str | None:
    """What to say of judged images that the model has learned from, as far as its data are these; None of none."""
    from edge_fm_export.fingerprints import count_common

    if split == "train" or dataset.content_hash != ((training or {}).get("data") or {}).get("hash"):
        return None
    common = count_common(images, dataset.train.images)
    if not common:
        return None
    return (
        f"{common:,} of the {len(images):,} images ({dataset.name} {split}) are training images of the model: its "
        "figures are too good."
    )


def _answer(
    runner: Engine, images: Any, batch_size: int, stage: str, talk: Talk
) -> tuple[Any, dict[str, float | int | None]]:
    """Every image's answer, and how long they took; the first of several batches also warms up, and is not timed."""
    import numpy as np

    answers: list[Any] = []
    seconds = timed = 0.0
    with talk.progress() as progress:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            began = time.perf_counter()
            answers.append(runner.infer(batch))
            took = time.perf_counter() - began
            if start or len(images) <= batch_size:
                seconds, timed = seconds + took, timed + len(batch)
            progress(stage, min(start + batch_size, len(images)), len(images))
    return np.concatenate(answers), {
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


def _metrics(run: Path) -> dict[str, Any]:
    """What a run knows of its training; nothing for an artifact."""
    from edge_fm_runtime.json_text import parse_json

    file = run / "metrics.json"
    return dict(parse_json(file.read_bytes())) if file.is_file() else {}  # load_source has checked it


def _open(
    path: Path, engine: str, options: Any, talk: Talk
) -> tuple[Engine, tuple[str, ...], PhotoSpec, tuple[int, int, int], Any, Any]:
    """The engine, the labels, the photo preprocessing, the input's shape, the training, and the Keras model or None."""
    from edge_fm.api.places import is_run

    if is_run(path) or path.suffix in (".keras", ".h5"):
        from edge_fm_export.engines import reference_engine
        from edge_fm_export.sources import load_source

        original = load_source(path)
        for warning in original.warnings:
            talk.warn(warning)
        runner = reference_engine("keras", original, options)
        return runner, original.labels, original.photo, original.input.shape, original.training, original.model
    from edge_fm.api.registry import ALL_ENGINES
    from edge_fm_runtime.artifact import load_artifact
    from edge_fm_runtime.engines import create_engine

    artifact = load_artifact(path)
    metadata = artifact.metadata
    runner = create_engine(artifact, engine, options=options, registry=ALL_ENGINES)
    if metadata.input.batch is not None:
        runner = _Padded(runner, metadata.input.batch)
    return runner, metadata.labels, metadata.photo, metadata.input.shape, metadata.training, None


class _Padded:
    """An engine of a fixed batch size, for batches of any size."""

    def __init__(self, engine: Engine, size: int) -> None:
        self._engine, self._size = engine, size
        self.name, self.device, self.precision, self.threads = (
            engine.name,
            engine.device,
            engine.precision,
            engine.threads,
        )

    def infer(self, batch: Any, /) -> Any:
        import numpy as np

        parts = []
        for start in range(0, len(batch), self._size):
            part = batch[start : start + self._size]
            padded = np.concatenate([part, np.zeros((self._size - len(part), *batch.shape[1:]), np.uint8)])
            parts.append(self._engine.infer(padded)[: len(part)])
        return np.concatenate(parts)

    def close(self) -> None:
        self._engine.close()


def load_labelled(
    name: str,
    shape: tuple[int, int, int],
    photo: PhotoSpec,
    talk: Talk,
    training: Mapping[str, Any] | None,
    skip_unreadable: float | None = None,
) -> Dataset:
    """Load the images that a model of `shape` is judged by, with the classes and splits of its training."""
    from edge_fm.api.inputs import as_trained, share_to_skip
    from edge_fm.data import load_dataset

    with talk.progress() as progress:
        dataset = load_dataset(
            name,
            shape=shape,
            photo=photo,
            skip_unreadable=share_to_skip(skip_unreadable, name, training),
            progress=progress,
            on_try=talk.note,
        )
    return as_trained(dataset, training)


def choose_images(dataset: Dataset, split: str, labels: tuple[str, ...], shape: tuple[int, int, int]) -> Split:
    """The images of a split, uint8 `[N,H,W,C]`, with their labels in the model's order, int64 `[N]`.

    Raises:
        DataError: they do not fit the model.
    """
    from edge_fm.data import label_order
    from edge_fm.data.dataset import join

    if split not in (*dataset.splits, "all"):
        raise DataError(
            f"{dataset.name} has no {split} split; it has {', '.join(dataset.splits)}.",
            hint="Choose one of these, or all.",
        )
    parts = list(dataset.splits.values()) if split == "all" else [dataset.splits[split]]
    chosen = join(parts)
    if chosen.images.shape[1:] != shape:
        raise DataError(
            f"{dataset.name} has images of shape {list(chosen.images.shape[1:])}; the model takes {list(shape)}.",
            hint="Give another --data SOURCE; an image folder is brought to the model's size.",
        )
    return replace(chosen, labels=label_order(dataset.label_names, labels, name=dataset.name)[chosen.labels])


def _history(run: Path) -> list[dict[str, float]]:
    """The epochs of a run, for its learning curves; nothing for an artifact."""
    import csv

    file = run / "history.csv"
    if not file.is_file():
        return []
    with file.open(newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def _print(result: dict[str, Any]) -> None:
    rows = [
        [label, *(f"{100 * values[k]:.2f}" for k in ("precision", "recall", "f1")), str(values["support"])]
        for label, values in result["per_class"].items()
    ]
    title = (
        f"{result['model']}: accuracy {100 * result['accuracy']:.2f}% on {result['n']:,} images of {result['data']} "
        f"({result['engine']}, {result['device']}, {result['precision']}), loss {result['loss']:.4f}"
    )
    columns = ["class", "precision %", "recall %", "F1 %", "images"]
    print_table(title, columns, rows, right=(1, 2, 3, 4))
