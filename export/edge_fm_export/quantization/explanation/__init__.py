"""Which layers an int8 artifact loses its accuracy in, and what would bring it back."""
