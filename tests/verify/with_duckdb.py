"""Reads a table with DuckDB.  Its one argument: {"metadata_location", "s3": properties, "id", "max_rows"}."""

import json
import sys

import canonical
import duck

request = json.loads(sys.argv[1])
location = request["metadata_location"]
db = duck.connect(location, request.get("s3"))
scan = duck.scan(location)
names = [row[0] for row in db.execute(f"describe select * from {scan}").fetchall()]
key = [name for name in (request.get("id"), "_partition", "_offset") if name in names]
columns = ", ".join(f'"{name}"' for name in key) if key else "*"
keys = db.execute(f"select {columns} from {scan}").to_arrow_table()

result = canonical.summary(keys, request.get("id"))
if keys.num_rows <= request.get("max_rows", 0):
    order = 'order by "_partition", "_offset"' if "_offset" in names else ""
    result["rows"] = canonical.rows(db.execute(f"select * from {scan} {order}").to_arrow_table())
canonical.answer(result)
