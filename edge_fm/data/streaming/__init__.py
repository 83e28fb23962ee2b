"""Images that need not fit into memory: image files that are decoded when they are indexed."""
