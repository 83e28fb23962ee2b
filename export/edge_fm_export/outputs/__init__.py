"""Outputs beside the probabilities: found in the Keras model, and computed in the exported graph on request."""
