"""Commands of ``asset-pipeline``, one to a file; ``cli.py`` puts them together."""
