"""Feed dialects, one to a file, recognised by what the file holds and not by a setting."""
