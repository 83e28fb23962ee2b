"""Files that people keep images and labels in, one module for each format."""
