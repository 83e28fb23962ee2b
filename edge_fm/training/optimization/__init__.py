"""The model and its optimizer, as a recipe describes them."""
