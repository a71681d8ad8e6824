"""Places of delivery, one to a file. They do not know each other; definitions.py lists them."""
