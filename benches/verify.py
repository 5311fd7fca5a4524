"""Counts a large table with pyiceberg and with DuckDB: every id once, every offset once, no gap.

Prints one JSON object: files and bytes.  Its arguments: the folder of catalog.db and warehouse, the table, the records.
(The verifiers of tests/ hold every id as a Python object, which ten million are too many for.)
"""

import importlib
import json
import pathlib
import sys

import duckdb
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog

folder, name, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
table = catalog.load_table(name)


def check(reader, what, found):
    if found != expected:
        sys.exit(f"{reader}: {what} is {found}, expected {expected}")


rows = table.scan(selected_fields=("sample_id", "_partition", "_offset")).to_arrow()
check("pyiceberg", "the number of rows", rows.num_rows)
check("pyiceberg", "the number of distinct ids", pc.count_distinct(rows["sample_id"]).as_py())
ranges = rows.group_by("_partition").aggregate([("_offset", "min"), ("_offset", "max"), ("_offset", "count_distinct")])
spans = pc.add(pc.subtract(ranges["_offset_max"], ranges["_offset_min"]), 1)
check("pyiceberg", "the sum of the offset ranges", pc.sum(spans).as_py())
check("pyiceberg", "the number of distinct offsets", pc.sum(ranges["_offset_count_distinct"]).as_py())
del rows

db = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
for extension in ("avro", "iceberg"):
    package = pathlib.Path(importlib.import_module(f"duckdb_extension_{extension}").__file__).parent
    (file,) = package.glob(f"extensions/*/{extension}.duckdb_extension")
    db.execute(f"load '{file}'")
scan = f"iceberg_scan('{table.metadata_location.removeprefix('file://')}')"
total, ids, offsets = db.execute(
    f"select count(*), count(distinct sample_id), count(distinct (_partition, _offset)) from {scan}"
).fetchone()
check("DuckDB", "the number of rows", total)
check("DuckDB", "the number of distinct ids", ids)
check("DuckDB", "the number of distinct offsets", offsets)

files = table.inspect.files()
print(json.dumps({"files": files.num_rows, "bytes": pc.sum(files["file_size_in_bytes"]).as_py()}))
