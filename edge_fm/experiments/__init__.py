"""Published experiments on Fashion-MNIST, rerun by name: reported beside achieved."""

from edge_fm.experiments.pairings import Pairing, best_pairings, validation_confusion
from edge_fm.experiments.results import Result, kept_results, read_result, write_result
from edge_fm.experiments.rows import experiment_rows, rows_due
from edge_fm.experiments.run import run_experiment
from edge_fm.experiments.studies import Study, studies_of
from edge_fm.experiments.table import Experiment, find_experiment, load_experiments

__all__ = [
    "Experiment",
    "Pairing",
    "Result",
    "Study",
    "best_pairings",
    "experiment_rows",
    "find_experiment",
    "kept_results",
    "load_experiments",
    "read_result",
    "rows_due",
    "run_experiment",
    "studies_of",
    "validation_confusion",
    "write_result",
]
