"""Many machines: the photos of a job shared out, results as files that a killed process leaves whole."""
