"""The false-alarm rate, and how many photos are compared."""

from __future__ import annotations

ALPHA = 0.02
"""The false-alarm rate of all tests together."""
LEAST_ALPHA, MOST_ALPHA = 0.01, 0.5
"""Below, a permutation test could not fire: its p-value is never less than 1/2000, and Holm's correction multiplies."""
LEAST_PHOTOS = 30
"""Fewer say next to nothing."""
FEW_PHOTOS = 100
"""With fewer, only large changes are seen."""
