"""Marketing images from a product catalog: rooms that face one way.

``catalog`` → ``prompts`` → ``candidates`` → ``scores`` → ``decisions`` → ``calibration`` → ``selection`` →
``exports``. A campaign is a partition; ``definitions`` is where the rooms meet Dagster; ``store`` keeps every
fact they record.
"""

import warnings

# Dagster calls partitioned asset checks a preview. A check without its partition would read every campaign,
# so the project needs them; constraints.txt pins Dagster and the tests say what they have to do.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")
