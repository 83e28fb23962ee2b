"""The architectures of the zoo, one file each, and the parts that they share."""
