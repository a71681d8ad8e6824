"""What every command has: the terminal it writes to, and the store as the environment says."""

import os

from rich.console import Console

from asset_pipeline.definitions import PLACES, open_store, s3_resource
from asset_pipeline.store.store import Store

console = Console(soft_wrap=True, highlight=False)


def the_store() -> Store:
    """The store; raises UnsafeStore if the storage cannot keep its promises."""
    return open_store(PLACES, s3_resource(os.environ))
