"""What scores are worth: how well they match accuracy, a temperature that mends it, and a threshold for rejection."""
