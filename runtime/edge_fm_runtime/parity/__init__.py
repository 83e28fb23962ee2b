"""Whether a model predicts what another one does: differences, intervals, golden predictions."""
