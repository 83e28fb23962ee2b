"""Training a student on the predictions of trained teachers."""
