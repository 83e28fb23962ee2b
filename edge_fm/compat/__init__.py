"""Private interfaces of Python and of packages of the training side: one module for each, and nowhere else."""
