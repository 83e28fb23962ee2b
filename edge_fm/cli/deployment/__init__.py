"""Commands about artifacts, from export to a device."""
