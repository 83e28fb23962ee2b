"""The commands that look at many photos together."""
