"""Studies: many runs of one recipe, compared by validation accuracy, in this process or on Ray."""
