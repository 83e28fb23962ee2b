"""Streams of frames: classified one by one, or the newest one only; videos, cameras and network streams as frames."""
