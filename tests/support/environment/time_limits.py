"""How long a test waits for what may never come."""

HANG_S = 600.0
"""Far beyond what a loaded machine needs: only what hangs takes so long, and fails."""
