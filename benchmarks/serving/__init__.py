"""Servers and many machines."""
