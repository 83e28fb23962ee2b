"""Models that others made: read without running their code, and adapted to uint8 pixels."""
