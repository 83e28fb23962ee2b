"""`edgefm quickstart`: the whole way once, on real images, offline."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.api.common.places import EXPORTS, RUNS
from edge_fm.cli.console.common import Talk, output_options, print_json, print_table, say

if TYPE_CHECKING:
    from edge_fm_export.pipeline import ExportResult

_SOURCE = "fashion-mnist-mini"
_SAMPLE = "Ankle boot"
"""The class of the sample photo: its first test image."""


@click.command("quickstart")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run. Default: a new one under runs/."
)
@click.option(
    "--epochs", type=int, help="Passes over the 5,400 training images. Default: the recipe's, about a minute."
)
@output_options
def command(out: Path | None, epochs: int | None, as_json: bool, quiet: bool) -> None:
    """Train a small model for about a minute, export it to every format, prove and measure each, classify a photo.

    Needs no network: 7,000 images of Fashion-MNIST come with the package.
    """
    from edge_fm.api.export import export
    from edge_fm.api.train import PreparedTraining
    from edge_fm.cli.console.train_run import train_run
    from edge_fm.data import load_dataset, sample_photo
    from edge_fm.evaluation.benchmark.benchmark import artifact_case, reference_cases, run_benchmark
    from edge_fm.evaluation.benchmark.cases import closing_engines
    from edge_fm.models.keras_import import require_keras_installed
    from edge_fm.training import load_recipe, new_run_dir, with_overrides
    from edge_fm_export.engines import REFERENCE_ENGINES
    from edge_fm_export.planning import require_ready
    from edge_fm_export.targets import parse_targets
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.engines import ENGINES, EngineOptions

    require_keras_installed("The quickstart")
    require_ready(parse_targets("all", "all"))
    talk = Talk(quiet)
    started = time.monotonic()
    recipe = with_overrides(load_recipe("quickstart"), epochs=epochs)
    dataset = load_dataset(_SOURCE)
    run = new_run_dir(RUNS, "quickstart") if out is None else out
    talk.note(f"1. Train {recipe.model.name} on {_SOURCE} ({len(dataset.train.images):,} images), into {run}")
    metrics = train_run(PreparedTraining(recipe, dataset, run, False), run, talk).metrics
    talk.note("2. Export to every format and precision, each gated against the Keras original")
    with talk.progress() as progress:
        report = export(run, ["all"], ["all"], out=run / EXPORTS, progress=progress, note=talk.note, warn=talk.warn)
    results = list(report.results)
    talk.note("3. Measure each beside Keras, interleaved in one run")
    registry = {**ENGINES, **REFERENCE_ENGINES}
    options = EngineOptions()
    opened = [load_artifact(r.path) for r in results]
    engines = ["savedmodel" if a.metadata.format == "savedmodel" else "auto" for a in opened]
    cases = [artifact_case(a, e, options, registry=registry) for a, e in zip(opened, engines, strict=True)]
    cases += reference_cases(run, options, cases[0].images)
    # To the end of the command: the report asks the engines what ran.
    click.get_current_context().with_resource(closing_engines(cases))
    with talk.progress() as progress:
        rows = run_benchmark(cases, duration_s=0.5, progress=progress).to_json()["rows"]
    talk.note("4. Classify a photo made from a test image")
    sample = int((dataset.test.labels == dataset.label_names.index(_SAMPLE)).argmax())
    photo = sample_photo(dataset.test.images[sample], run / "photo.jpg")
    chosen = next(r.path for r in results if (r.target.format, r.target.precision) == ("onnx", "fp32"))
    with Classifier.load(chosen) as classifier:
        answer = classifier.classify(photo)
    summary = _summary(metrics, results, rows)
    if as_json:
        print_json(
            {
                "run": str(run),
                "seconds": round(time.monotonic() - started, 1),
                "rows": summary,
                "photo": {"path": str(photo), "label": answer.label, "score": answer.score, "truth": _SAMPLE},
            }
        )
    else:
        _print(summary, metrics, time.monotonic() - started)
        say(f"{photo}: {answer.label} {100 * answer.score:.1f}% (it is: {_SAMPLE})")
    talk.next(
        f"edgefm infer {photo} --model {chosen}",
        "edgefm data fetch fashion-mnist && edgefm train && edgefm export --format all --precision all",
        "edgefm export YOUR_MODEL.keras --format onnx --data YOUR_IMAGES/",
    )


def _summary(metrics: dict[str, Any], results: list[ExportResult], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for the original and one for each artifact: what it costs and what it lost."""
    timed = {row["model"]: row for row in rows}
    predict = next(row for row in rows if row["engine"] == "keras-predict")
    called = next(row for row in rows if row["engine"] == "keras")

    def cost(row: dict[str, Any]) -> dict[str, Any]:
        keys = ("engine", "p50_ms", "load_ms", "peak_rss_mib")
        return {k: row[k] for k in keys} | {"times_faster": predict["p50_ms"] / row["p50_ms"]}

    original = {
        "model": "Keras original",
        "format": "keras",
        "precision": "fp32",
        "bytes": None,
        "accuracy": metrics["test_accuracy"],
        "drop_points": 0.0,
        "agreement": 1.0,
    }
    out = [original | {"model": "Keras predict"} | cost(predict), original | {"model": "Keras call"} | cost(called)]
    for result in results:
        parity = result.parity
        out.append(
            {
                "model": result.path.name,
                "format": result.target.format,
                "precision": result.target.precision,
                "bytes": result.bytes,
                "accuracy": parity.accuracy,
                "drop_points": parity.drop_points,
                "agreement": parity.top1_agreement,
            }
            | cost(timed[result.path.name])
        )
    return out


def _print(summary: list[dict[str, Any]], metrics: dict[str, Any], seconds: float) -> None:
    rows = [
        [
            row["model"],
            row["engine"],
            "-" if row["bytes"] is None else f"{row['bytes'] / 1024:.0f}",
            f"{100 * row['accuracy']:.2f}",
            f"{row['drop_points']:+.2f}",
            f"{100 * row['agreement']:.2f}",
            f"{row['p50_ms']:.3f}",
            f"{row['times_faster']:.0f}x",
            f"{row['load_ms']:.0f}",
            f"{row['peak_rss_mib'] or 0:.0f}",
        ]
        for row in summary
    ]
    columns = ["model", "engine", "KiB", "accuracy %", "drop", "agree %", "p50 ms", "faster", "load ms", "peak MiB"]
    title = (
        f"{metrics['model']}, {metrics['params']:,} parameters: every artifact passed its gate ({seconds:.0f} s in all)"
    )
    lesser = ["peak MiB", "load ms", "agree %", "engine"]
    print_table(title, columns, rows, right=range(2, len(columns)), lesser=lesser)
