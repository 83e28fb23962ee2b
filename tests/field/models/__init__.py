"""Third-party models as users bring them."""
