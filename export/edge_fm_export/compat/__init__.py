"""Private interfaces and faults of other packages: one module for each, and nowhere else."""
