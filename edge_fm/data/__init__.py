"""Datasets: where they come from, how they are read, checked, divided and described. Needs NumPy and Pillow alone."""

from edge_fm.data.contact_sheet import contact_sheet
from edge_fm.data.dataset import Dataset, SourceFile, Split, make_dataset
from edge_fm.data.describe import dataset_info
from edge_fm.data.fashion_mnist import cache_folder, fetch
from edge_fm.data.label_names import label_order
from edge_fm.data.prepare import Preparation, prepare, prepare_as_trained
from edge_fm.data.sample import sample_photo
from edge_fm.data.sources import DATASETS, load_dataset
from edge_fm.data.splits import split_validation

__all__ = [
    "DATASETS",
    "Dataset",
    "Preparation",
    "SourceFile",
    "Split",
    "cache_folder",
    "contact_sheet",
    "dataset_info",
    "fetch",
    "label_order",
    "load_dataset",
    "make_dataset",
    "prepare",
    "prepare_as_trained",
    "sample_photo",
    "split_validation",
]
