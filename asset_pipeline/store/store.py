"""The store as the rooms see it: tables, events and images under one root."""

from collections.abc import Mapping, Sequence
from typing import Any

from asset_pipeline.store.events import Events, EventStream
from asset_pipeline.store.files import open_files
from asset_pipeline.store.images import Images
from asset_pipeline.store.tables import Facts, Table


class Store:
    """Facts, events and images under a local path or an ``s3://`` URL. Holds no lock and no connection."""

    def __init__(self, root: str, storage_options: Mapping[str, Any] | None = None) -> None:
        self.files = open_files(root, storage_options)
        self.facts = Facts(self.files)
        self.events = Events(self.files)
        self.images = Images(self.files)

    def declare(self, tables: Sequence[Table[Any]], streams: Sequence[EventStream[Any]]) -> None:
        """Make every table and stream known to queries, before their first fact."""
        for table in tables:
            self.facts.declare(table)
        for stream in streams:
            self.events.declare(stream)
