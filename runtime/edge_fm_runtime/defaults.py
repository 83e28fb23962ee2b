"""Defaults that several packages share and help texts name."""

from __future__ import annotations

BATCH_SIZE = 32
"""Images through the engine at once when photos are classified."""

STREAM_BATCH_SIZE = 8
"""Frames through the engine at once when a video is classified: as fast as 32, with a quarter of the activations."""

MAX_DROP_POINTS = 0.5
"""Accuracy, in percentage points, that an int8 artifact may lose."""

REQUIRE_SIGNATURE = "EDGEFM_REQUIRE_SIGNATURE"
"""Environment variable: path of a public key; every artifact that is loaded must be signed with its private key."""
