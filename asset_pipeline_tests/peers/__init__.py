"""Real services and clients that tests start, from the environments that ``make test`` installs.

What each is for stands in ``peers/README.md``. They listen on 127.0.0.1 alone, and end with their block.
"""
