"""Keras to SavedModel, and what a SavedModel may hold."""
