"""What is in an artifact, and how it is read without trusting it."""
