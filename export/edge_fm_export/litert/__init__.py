"""SavedModel to LiteRT."""
