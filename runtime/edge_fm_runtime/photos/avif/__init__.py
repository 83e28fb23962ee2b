"""What an AVIF file really holds, read before it is decoded: Pillow takes its container at its word."""
