"""How images are divided: orders that a seed decides, and divisions that keep groups together."""
