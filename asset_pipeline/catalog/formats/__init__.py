"""A file's bytes become rows, whatever its format; what its columns mean is the dialects' matter."""
