"""Verbs for a finished artifact."""
