"""Images that need not fit into memory: picture files that are decoded when they are indexed."""
