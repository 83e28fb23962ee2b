"""Sources whose images are files: folders and manifests, and the groups that their images belong to."""
