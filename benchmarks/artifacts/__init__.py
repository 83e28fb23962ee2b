"""Artifacts: what they cost and what they keep of the original."""
