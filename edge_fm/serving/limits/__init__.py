"""How much is let in, and how the rest is refused."""
