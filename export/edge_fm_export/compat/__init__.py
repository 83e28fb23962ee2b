"""What is private or faulty in other packages: one module for each of them, and used nowhere else."""
