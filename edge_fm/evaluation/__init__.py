"""Evaluation: figures, plots, pages and measurements of models."""

from edge_fm.evaluation.metrics import ClassScore, Evaluation, WrongAnswer, evaluate_probabilities
from edge_fm.evaluation.plots import plot_confusion, plot_curves, plot_samples
from edge_fm.evaluation.report import write_report

__all__ = [
    "ClassScore",
    "Evaluation",
    "WrongAnswer",
    "evaluate_probabilities",
    "plot_confusion",
    "plot_curves",
    "plot_samples",
    "write_report",
]
