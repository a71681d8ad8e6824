"""Marketing images from a product catalog: six rooms, one direction.

``catalog`` → ``prompts`` → ``candidates`` → ``scores`` → ``selection`` → ``exports``. A campaign is a
partition; ``definitions`` is where the rooms meet Dagster; ``store`` keeps every fact they record.
"""
