"""Which model, artifact, images and photos a call is about."""
