"""Which data files hold a record: each file is opened by its path, with pyarrow.

Its one argument: {"catalog": properties, "table", "partition", "offset"}.  The answer: [{"file", "snapshot", "rows"}].
"""

import json
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
added_by = {
    entry["data_file"]["file_path"]: entry["snapshot_id"]
    for entry in table.inspect.entries().to_pylist()
    if entry["status"] != 2
}
found = []
for task in table.scan().plan_files():
    path = task.file.file_path
    with table.io.new_input(path).open() as file:
        rows = pq.read_table(file, columns=["_partition", "_offset"])
    is_it = pc.and_(
        pc.equal(rows["_partition"], request["partition"]), pc.equal(rows["_offset"], request["offset"])
    )
    count = pc.sum(is_it).as_py()
    if count:
        found.append({"file": path, "snapshot": added_by[path], "rows": count})
canonical.answer(found)
