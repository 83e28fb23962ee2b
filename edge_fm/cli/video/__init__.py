"""What `edgefm infer --video` prints; loaded only then."""
