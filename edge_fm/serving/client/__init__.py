"""Asking a server that runs an artifact."""
