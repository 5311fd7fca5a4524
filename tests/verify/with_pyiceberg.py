"""Reads a table with pyiceberg.  Its one argument: {"catalog": properties, "table", "id", "max_rows"}."""

import json
import sys

from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
names = [field.name for field in table.schema().fields]
key = [name for name in (request.get("id"), "_partition", "_offset") if name in names]
keys = table.scan(selected_fields=key).to_arrow() if key else table.scan().to_arrow()

result = canonical.summary(keys, request.get("id"))
if keys.num_rows <= request.get("max_rows", 0):
    everything = table.scan().to_arrow()
    if "_offset" in names:
        everything = everything.sort_by([("_partition", "ascending"), ("_offset", "ascending")])
    result["rows"] = canonical.rows(everything)
result["schema"] = {f.name: f"{f.field_type}{' not null' if f.required else ''}" for f in table.schema().fields}
result["metadata_location"] = table.metadata_location
result["snapshots"] = len(table.metadata.snapshots)
result["files"] = [task.file.file_path for task in table.scan().plan_files()]
canonical.answer(result)
