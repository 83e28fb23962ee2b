"""The gate: whether an artifact predicts what its original does, and what to do where it does not."""
