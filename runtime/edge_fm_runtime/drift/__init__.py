"""Whether the photos that a device sees now still look like the held-out images that an artifact was exported with."""
