"""The tables of a bench, and DuckDB to read them: a SQLite catalog and a warehouse in one folder.

DuckDB is set up by the verifiers of the tests (tests/verify/duck.py).
"""

import pathlib
import sys

from pyiceberg.catalog.sql import SqlCatalog

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/verify"))
import duck  # noqa: E402


def load(folder, name):
    """The table NAMESPACE.TABLE of the catalog in this folder."""
    catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    return catalog.load_table(name)


def connect(table):
    """DuckDB, able to read this table and those beside it."""
    return duck.connect(table.metadata_location, {})


def scan(table):
    """The table as SQL."""
    return duck.scan(table.metadata_location)
