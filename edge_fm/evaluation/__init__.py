"""Evaluation: figures, plots, pages and measurements of models."""

from edge_fm.evaluation.feature_maps import feature_maps, map_layers, plot_feature_maps
from edge_fm.evaluation.metrics import ClassScore, Evaluation, WrongPrediction, evaluate_probabilities
from edge_fm.evaluation.plots import plot_confusion, plot_curves, plot_reliability, plot_samples
from edge_fm.evaluation.report import Evaluated, write_report
from edge_fm_export.scores.figures import CalibrationBin

__all__ = [
    "CalibrationBin",
    "ClassScore",
    "Evaluated",
    "Evaluation",
    "WrongPrediction",
    "evaluate_probabilities",
    "feature_maps",
    "map_layers",
    "plot_confusion",
    "plot_curves",
    "plot_feature_maps",
    "plot_reliability",
    "plot_samples",
    "write_report",
]
