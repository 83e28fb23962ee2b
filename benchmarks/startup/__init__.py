"""How long a cold start takes."""
