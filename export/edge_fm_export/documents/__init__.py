"""What an artifact carries for people and tools besides the model: its card and its bill of materials."""
