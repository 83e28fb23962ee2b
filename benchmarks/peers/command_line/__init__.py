"""Peers that are programs with reports of their own."""
