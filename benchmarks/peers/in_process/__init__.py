"""Peers that are called from Python, each in a process of its own."""
