"""Train a recipe of the package with several seeds, export the median one, and keep what it reached.

    python tools/record_family.py RECIPE... [--seeds 0 1 2] [--out runs/family]

Each run is DIR/RECIPE-SEED; the same command goes on where it was stopped. Several processes may share the trainings:
`--seeds 1 --train-only`, which leaves the test split alone, so that nobody reads a test figure while a recipe is still
being changed. The record of RECIPE's model is written to edge_fm/models/stored/MODEL/, where `edgefm models` finds it,
beside the run of the median seed, the history of each, and what the runs of its teachers, and the run whose weights it
started from, noted; what another recipe reached before stays in others/, without its model. The test split is read once
a seed, after training, and selects nothing but that seed. Then every model with a record is timed anew, all in turn in
one run: latencies of different days do not compare.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm import export
from edge_fm.experiments.run import machine_name
from edge_fm.models import records
from edge_fm.models.records import OTHERS, RECORD_FILE, Exported, Record, Seed, read_record, shipped_records
from edge_fm.models.run_files import HISTORY_FILE, METRICS_FILE, MODEL_FILE, RECIPE_FILE
from edge_fm.training import Recipe, load_recipe, recipe_hash
from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
from edge_fm.training.run.run_folder import write_json
from edge_fm.training.run.train_once import train_once
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import EngineOptions, create_engine
from edge_fm_runtime.measurement.latency import measure
from edge_fm_runtime.system.machine import describe_machine

FORMATS, PRECISIONS = {"onnx": "onnxruntime", "openvino": "openvino"}, ("fp32", "int8")
# Of a record or a run: what its teachers, and the run that it went on from, noted.
BEFORE = "teachers"


def run_seed(recipe: Recipe, seed: int, out: Path, *, test: bool) -> tuple[Path, dict[str, Any]]:
    """Train, or read what is trained: the run's folder and its metrics."""
    recipe = replace(recipe, seed=seed)
    run = out / f"{recipe.name}-{seed}"
    metrics = train_once(
        recipe,
        load_recipe_data(recipe),
        run,
        test=test,
        on_epoch=lambda epoch, epochs, row: print(
            f"{run.name}: {epoch} of {epochs}: {dict(row)}", file=sys.stderr, flush=True
        ),
    )
    return run, metrics


def tested_seed(recipe: Recipe, seed: int, out: Path) -> tuple[Path, Seed, dict[str, dict[str, str]]]:
    """A run, its figures, and the data and versions that it notes."""
    run, metrics = run_seed(recipe, seed, out, test=True)
    figures = Seed(seed, metrics["test_accuracy"], metrics["val_accuracy"], metrics["seconds"])
    data = {key: metrics["data"][key] for key in ("name", "hash")}
    return run, figures, {"data": data, "versions": metrics["versions"]}


def export_run(run: Path, out: Path) -> tuple[dict[str, Any], ...]:
    """Export a run; what `edgefm export --json` says of each artifact."""
    report = export(run, tuple(FORMATS), PRECISIONS, out=out, warn=partial(print, file=sys.stderr))
    return tuple(report.to_json())


def time_together(rows: Sequence[Mapping[str, Any]], *, duration_s: float) -> dict[str, float]:
    """Time one image on every artifact, in turn, `duration_s` seconds each: artifact -> median milliseconds."""
    opened = {
        row["artifact"]: create_engine(
            load_artifact(row["artifact"]), FORMATS[row["format"]], options=EngineOptions(batch=1)
        )
        for row in rows
    }
    pixels = np.zeros((1, *load_artifact(rows[0]["artifact"]).metadata.input.shape), np.uint8)
    timed = measure(
        {name: partial(engine.infer, pixels) for name, engine in opened.items()}, duration_s=duration_s, min_samples=64
    )
    for engine in opened.values():
        engine.close()
    return {name: round(latency.p50_ms, 4) for name, latency in timed.items()}


def exported(row: Mapping[str, Any], p50_ms: float) -> Exported:
    """A row of `export_run` as the record has it."""
    return Exported(
        format=row["format"],
        precision=row["precision"],
        bytes=row["bytes"],
        accuracy=row["parity"]["accuracy"],
        drop_points=row["parity"]["drop_points"],
        p50_ms=p50_ms,
    )


def keep(record: Record, run: Path, runs: Mapping[int, Path], before: Sequence[str]) -> Path:
    """Write a record, the run of the median seed, each seed's history and what the runs `before` noted; the folder."""
    folder = records.STORED_RESULTS / record.model
    with tempfile.TemporaryDirectory() as temporary:
        aside = Path(temporary)
        set_aside(folder, aside, but=record.recipe)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if any(aside.iterdir()):
            shutil.copytree(aside, folder / OTHERS)
    for name in (MODEL_FILE, METRICS_FILE, RECIPE_FILE):
        shutil.copyfile(run / name, folder / name)
    for seed, path in runs.items():
        shutil.copyfile(path / HISTORY_FILE, folder / f"history-{seed}.csv")
    for path in dict.fromkeys(map(Path, before)):
        if (path / HISTORY_FILE).is_file():
            keep_logs(path, folder / BEFORE / path.name)
    write_json(folder / RECORD_FILE, record.to_json())
    return folder


def set_aside(folder: Path, aside: Path, *, but: str) -> None:
    """Copy what a record's folder notes of recipes other than `but` to folders of their names in `aside`."""
    for kept in (folder, *folder.glob(f"{OTHERS}/*")):
        if (kept / RECORD_FILE).is_file() and (recipe := read_record(kept / RECORD_FILE).recipe) != but:
            keep_logs(kept, aside / recipe)


def keep_logs(run: Path, folder: Path) -> None:
    """Copy what a run noted, and the runs before it where they lie within: text, no models."""
    folder.mkdir(parents=True)
    for pattern in (HISTORY_FILE, METRICS_FILE, RECIPE_FILE, RECORD_FILE, "history-*.csv"):
        for file in run.glob(pattern):
            shutil.copyfile(file, folder / file.name)
    for earlier in run.glob(f"{BEFORE}/*"):
        keep_logs(earlier, folder / BEFORE / earlier.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/family"))
    parser.add_argument("--train-only", action="store_true", help="no test, no exports, no record")
    parser.add_argument("--trained-on", metavar="MACHINE", help="what trained, where it was not this machine")
    parser.add_argument("--latency-s", type=float, default=3.0, help="seconds of timing for each artifact (3)")
    given = parser.parse_args()
    if given.train_only:
        for name in given.recipes:
            for seed in given.seeds:
                run, metrics = run_seed(load_recipe(name), seed, given.out, test=False)
                print(f"{run.name}: {metrics['val_accuracy']:.4f} on validation images")
        return

    trainings = {}
    for name in given.recipes:
        recipe = load_recipe(name)
        trained = [tested_seed(recipe, seed, given.out) for seed in given.seeds]
        median = statistics.median_low(seed.accuracy for _, seed, _ in trained)
        print(f"{name}: {', '.join(f'{seed.accuracy:.4f}' for _, seed, _ in trained)}, median {median:.4f}")
        trainings[recipe.model.name] = recipe, trained, median

    older = {model: record for model, record in shipped_records().items() if model not in trainings}
    runs = {model: records.STORED_RESULTS / model for model in older}
    for model, (_, trained, median) in trainings.items():
        runs[model] = next(run for run, seed, _ in trained if seed.accuracy == median)
    machine = describe_machine()
    timed_on = f"{machine['cpu']}, {machine['threads']} threads"
    with tempfile.TemporaryDirectory() as folder:
        rows = {model: export_run(run, Path(folder) / model) for model, run in runs.items()}
        p50_ms = time_together([row for many in rows.values() for row in many], duration_s=given.latency_s)
    for model, (recipe, trained, _) in trainings.items():
        record = Record(
            model=model,
            recipe=recipe.name,
            recipe_hash=recipe_hash(recipe),
            seeds=tuple(seed for _, seed, _ in trained),
            exports=tuple(exported(row, p50_ms[row["artifact"]]) for row in rows[model]),
            machine={"training": given.trained_on or machine_name(), "latency": timed_on},
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            **next(notes for run, _, notes in trained if run == runs[model]),
        )
        seeds = {seed.seed: path for path, seed, _ in trained}
        before = (*recipe.distillation.teacher, recipe.model.weights)
        print(f"  kept in {keep(record, runs[model], seeds, before)}")
        for line in record.exports:
            print(f"  {line}")
    for model, record in older.items():
        now = {(row["format"], row["precision"]): p50_ms[row["artifact"]] for row in rows[model]}
        exports = tuple(replace(old, p50_ms=now[old.format, old.precision]) for old in record.exports)
        timed = replace(record, exports=exports, machine={**record.machine, "latency": timed_on})
        write_json(records.STORED_RESULTS / model / RECORD_FILE, timed.to_json())
        print(f"{model}: timed anew, {', '.join(f'{e.format} {e.precision} {e.p50_ms} ms' for e in exports)}")


if __name__ == "__main__":
    main()
