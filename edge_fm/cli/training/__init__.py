"""Commands about models, datasets and training."""
