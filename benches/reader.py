"""How the benches read tables: DuckDB and pyiceberg, which nobody here wrote."""

import importlib
import pathlib

import duckdb
from pyiceberg.catalog.sql import SqlCatalog


def duck():
    """DuckDB with its Iceberg extension, from wheels: it downloads nothing."""
    db = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    for extension in ("avro", "iceberg"):
        package = pathlib.Path(importlib.import_module(f"duckdb_extension_{extension}").__file__).parent
        (file,) = package.glob(f"extensions/*/{extension}.duckdb_extension")
        db.execute(f"load '{file}'")
    return db


def table_of(folder, name):
    """A table of the benches' own catalogs: SQLite and a local warehouse in one folder."""
    catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    return catalog.load_table(f"bench.{name}")
