"""Reads a table with DuckDB.  Its one argument: {"metadata_location", "s3": properties, "id", "max_rows"}."""

import importlib
import json
import pathlib
import sys
from urllib.parse import urlparse

import duckdb

import canonical

request = json.loads(sys.argv[1])
# DuckDB must not look for extensions or anything else on the net.
db = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
for name in ("avro", "httpfs", "iceberg"):
    package = pathlib.Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
    (file,) = package.glob(f"extensions/*/{name}.duckdb_extension")
    db.execute(f"load '{file}'")

location = request["metadata_location"]
if location.startswith("s3"):
    s3 = request["s3"]
    endpoint = urlparse(s3["s3.endpoint"])
    db.execute(
        "create secret (type s3, key_id ?, secret ?, region ?, endpoint ?, url_style 'path', use_ssl false)",
        [s3["s3.access-key-id"], s3["s3.secret-access-key"], s3["s3.region"], endpoint.netloc],
    )
scan = "iceberg_scan(?)"
location = location.removeprefix("file://")
names = [row[0] for row in db.execute(f"describe select * from {scan}", [location]).fetchall()]
key = [name for name in (request.get("id"), "_partition", "_offset") if name in names]
columns = ", ".join(f'"{name}"' for name in key) if key else "*"
keys = db.execute(f"select {columns} from {scan}", [location]).to_arrow_table()

result = canonical.summary(keys, request.get("id"))
if keys.num_rows <= request.get("max_rows", 0):
    order = 'order by "_partition", "_offset"' if "_offset" in names else ""
    result["rows"] = canonical.rows(db.execute(f"select * from {scan} {order}", [location]).to_arrow_table())
canonical.answer(result)
