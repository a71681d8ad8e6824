"""Ways of looking at an image, one to a file. They do not know each other; definitions.py lists them."""
