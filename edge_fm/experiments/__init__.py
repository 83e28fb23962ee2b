"""Published experiments on Fashion-MNIST, rerun by name: reported beside achieved."""

from edge_fm.experiments.pairings import Pairing, best_pairings, validation_confusion
from edge_fm.experiments.results import Result, kept_results, read_result, write_result
from edge_fm.experiments.run import run_experiment
from edge_fm.experiments.table import Experiment, experiment_rows, find_experiment, load_experiments

__all__ = [
    "Experiment",
    "Pairing",
    "Result",
    "best_pairings",
    "experiment_rows",
    "find_experiment",
    "kept_results",
    "load_experiments",
    "read_result",
    "run_experiment",
    "validation_confusion",
    "write_result",
]
