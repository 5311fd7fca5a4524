"""Counts a large table with pyiceberg and with DuckDB: every id once, every offset once, no gap.

Prints one JSON object: files and bytes.  Its arguments: the folder of catalog.db and warehouse, the table, the records.
(The verifiers of tests/ hold every id as a Python object, which ten million are too many for.)
"""

import json
import sys

import pyarrow.compute as pc
from reader import duck, table_of

folder, name, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
table = table_of(folder, name.removeprefix("bench."))


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

db = duck()
scan = f"iceberg_scan('{table.metadata_location.removeprefix('file://')}')"
total, ids, offsets = db.execute(
    f"select count(*), count(distinct sample_id), count(distinct (_partition, _offset)) from {scan}"
).fetchone()
check("DuckDB", "the number of rows", total)
check("DuckDB", "the number of distinct ids", ids)
check("DuckDB", "the number of distinct offsets", offsets)

files = table.inspect.files()
print(json.dumps({"files": files.num_rows, "bytes": pc.sum(files["file_size_in_bytes"]).as_py()}))
