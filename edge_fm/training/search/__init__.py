"""Many runs of one recipe: hyperparameter search, sweeps and cross-validation."""
