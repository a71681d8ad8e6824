"""Model files by content hash: what a checkpoint is made of, where it is, that it is unaltered."""
