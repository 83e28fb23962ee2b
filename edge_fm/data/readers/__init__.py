"""Readers of images and labels, one module for each format."""
