"""Published experiments on Fashion-MNIST, rerun by name: reported beside achieved."""

from edge_fm.experiments.pairings import Pairing, best_pairings, validation_confusion
from edge_fm.experiments.results import Result, read_result, stored_results, write_result
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
    "load_experiments",
    "read_result",
    "rows_due",
    "run_experiment",
    "stored_results",
    "studies_of",
    "validation_confusion",
    "write_result",
]
