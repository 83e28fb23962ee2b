"""From a photo's file to the uint8 pixels that a model takes."""
