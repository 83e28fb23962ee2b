"""Sources whose images are files: folders and manifests, and the groups that their pictures belong to."""
