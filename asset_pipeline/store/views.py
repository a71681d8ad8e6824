"""``store.duckdb``: a DuckDB file that holds views over the store's files, and nothing else.

Runs never open it for writing, so DuckDB's CLI and UI, notebooks and BI tools read it at any time. It is
written anew, beside its place and then renamed, only when the tables or the root have changed.
"""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.store.events import Events, EventStream
from asset_pipeline.store.files import Files, safe_path
from asset_pipeline.store.tables import SCHEMA_PARTITION, Facts, Table, column_type

STORAGE_VERSION = "v1.2.0"
"""The oldest DuckDB that can open the file; the views ask for nothing newer."""

_PARTITIONED = "hive_partitioning = true, hive_types_autocast = false, filename = true"
"""Partitions are columns and stay text; a filter on one opens only its files."""

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
    pa.list_(pa.string()): "VARCHAR[]",
}


def write_views(
    database: Path,
    files: Files,
    tables: Sequence[Table[Any]],
    streams: Sequence[EventStream[Any]],
    extra: Sequence[str] = (),
) -> bool:
    """Make `database` hold the views of these tables and streams; say whether it had to be written.

    For each table ``t``: ``t`` (current rows), ``t_history`` (all rows ever), ``t_materialisations``, and
    the macro ``t_as_of(moment)``. For each stream ``s``: ``s`` (every event once, its body's fields as
    columns). All are declared first, so that the views work before the first fact. `extra` are further
    ``CREATE VIEW`` statements over those, run in order. Columns of rows that an older schema wrote are
    shown as they were written; upgrades are Python's.
    """
    for table in tables:
        Facts(files).declare(table)
    for stream in streams:
        Events(files).declare(stream)
    statements = [statement for table in tables for statement in _table_views(files, table)]
    statements += [_stream_view(files.root, stream) for stream in streams]
    statements += extra
    version = fingerprint([STORAGE_VERSION, statements])
    if database.exists() and _version_of(database) == version:
        return False
    database.parent.mkdir(parents=True, exist_ok=True)
    partial = database.with_name(f".{database.name}.{secrets.token_hex(4)}")
    try:
        with connect(files) as connection:
            connection.execute(
                f"ATTACH '{_quoted(str(partial))}' AS views (STORAGE_VERSION '{STORAGE_VERSION}')"
            )
            connection.execute("USE views")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"CREATE VIEW views_version AS SELECT '{version}' AS version")
            connection.execute("USE memory")
            connection.execute("DETACH views")
        os.replace(partial, database)  # noqa: PTH105 - says that it replaces
    finally:
        partial.unlink(missing_ok=True)
    return True


def connect(files: Files, database: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection that reads the store's files, and `database` if given, read-only."""
    connection = duckdb.connect(str(database or ":memory:"), read_only=database is not None)
    if files.root.startswith("s3://"):
        connection.register_filesystem(files.filesystem)
    return connection


def _version_of(database: Path) -> str | None:
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            row = connection.execute("SELECT version FROM views_version").fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None


def _table_views(files: Files, table: Table[Any]) -> list[str]:
    name, key = table.name, table.partitioned_by
    folder = f"{_quoted(files.root)}/facts/{name}"
    schemas = files.names(safe_path("facts", name, f"{key}={SCHEMA_PARTITION}"))
    json_columns = "".join(f', "{column}"::JSON AS "{column}"' for column in sorted(table.json_columns))
    replaced = f" REPLACE ({json_columns[2:]})" if json_columns else ""
    # Rows and what is newest must come from one listing, as a writer could add a newer file between two.
    # (rank: DuckDB turns `max() OVER` into a join of two scans.)
    everything = f"""SELECT * EXCLUDE (filename){replaced}, parse_filename(filename, true) AS materialisation
        FROM ({" UNION ALL BY NAME ".join(_of_one_shape(folder, key, schema) for schema in schemas)})"""
    newest = f"QUALIFY rank() OVER (PARTITION BY {key} ORDER BY materialisation DESC) = 1"
    has_rows = "WHERE fact_sha256 IS NOT NULL"
    return [
        f"""CREATE VIEW {name}_materialisations AS
            SELECT regexp_extract(file, '{key}=([^/]+)/[^/]+$', 1) AS {key},
                   parse_filename(file, true) AS materialisation
            FROM glob('{folder}/*/*.parquet') WHERE file NOT LIKE '%={SCHEMA_PARTITION}/%'""",
        f"CREATE VIEW {name}_history AS FROM ({everything}) {has_rows}",
        f"CREATE VIEW {name} AS FROM (FROM ({everything}) {newest}) {has_rows}",
        f"""CREATE MACRO {name}_as_of(moment) AS TABLE FROM (FROM ({everything})
                WHERE materialisation
                    < strftime(make_timestamp(epoch_us(moment::TIMESTAMPTZ)), '%Y%m%dT%H%M%S.%fZ') || '~'
                {newest}) {has_rows}""",
    ]


def _of_one_shape(folder: str, key: str, schema: str) -> str:
    """SQL that reads the files of one shape, the one without rows first: no other is opened to see columns.

    (`union_by_name` would open every file of every partition, whatever the filter.)
    """
    _, shape, _ = schema.split("-")
    files = f"['{folder}/{key}={SCHEMA_PARTITION}/{schema}', '{folder}/*/*-{shape}-*.parquet']"
    return f"SELECT * FROM read_parquet({files}, {_PARTITIONED})"


def _stream_view(root: str, stream: EventStream[Any]) -> str:
    name, key = stream.name, stream.partitioned_by
    single = f"{_quoted(root)}/events/{name}/*/*.json"
    packed = f"{_quoted(root)}/packed_events/{name}/*/*.parquet"
    fields = "".join(
        f', {_field(field, info.annotation)} AS "{field}"'
        for field, info in stream.body.model_fields.items()
        if field not in (key, "name", "recorded_at")
    )
    return f"""CREATE VIEW {name} AS
        SELECT name, {key}, (content->>'$.recorded_at')::TIMESTAMPTZ AS recorded_at{fields}
        FROM (SELECT {key}, content->>'$.name' AS name, content, 'single' AS kept
              FROM (SELECT {key}, json AS content
                    FROM read_json_objects('{single}', format = 'newline_delimited', {_PARTITIONED}))
              UNION ALL
              SELECT {key}, name, content::JSON, parse_filename(filename, true)
              FROM read_parquet('{packed}', {_PARTITIONED}))
        QUALIFY row_number() OVER (PARTITION BY {key}, name ORDER BY kept) = 1"""


def _field(field: str, annotation: Any) -> str:
    """SQL that takes a field out of an event's body."""
    sql_type = _SQL_TYPES.get(column_type(annotation))
    if sql_type is None:
        return f"nullif(content->'$.body.{field}', 'null')"
    arrow = "->" if sql_type.endswith("[]") else "->>"
    return f"(content{arrow}'$.body.{field}')::{sql_type}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
