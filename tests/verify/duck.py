"""DuckDB, set up to read Iceberg tables, and nothing from the net."""

import importlib
import pathlib
from urllib.parse import urlparse

import duckdb


def connect(location, properties):
    """A connection that can read the table whose metadata is at this location."""
    db = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    for name in ("avro", "httpfs", "iceberg"):
        package = pathlib.Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
        (file,) = package.glob(f"extensions/*/{name}.duckdb_extension")
        db.execute(f"load '{file}'")
    if location.startswith("s3"):
        endpoint = urlparse(properties["s3.endpoint"])
        db.execute(
            "create secret (type s3, key_id ?, secret ?, region ?, endpoint ?, url_style 'path', use_ssl false)",
            [properties["s3.access-key-id"], properties["s3.secret-access-key"], properties["s3.region"], endpoint.netloc],
        )
    return db


def scan(location):
    """The table as SQL."""
    return f"iceberg_scan('{location.removeprefix('file://')}')"
