"""Makes a table with pyiceberg, with rows left out or there twice, for the test of the readers.

Its one argument: {"catalog": properties, "table", "partitions": {partition: count}, "drop", "twice"}, the last
two offsets of partition 0.  The answer is what a faultless table would hold.
"""

import json
import sys
import uuid

import pyarrow as pa
from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
catalog = load_catalog("default", **request["catalog"])
namespace = request["table"].split(".")[0]
catalog.create_namespace_if_not_exists(namespace)
schema = pa.schema([("sample_id", pa.string()), ("_partition", pa.int32()), ("_offset", pa.int64())])
if catalog.table_exists(request["table"]):
    catalog.drop_table(request["table"])
table = catalog.create_table(request["table"], schema)

rows, expected = [], {"count": 0, "id_sum": 0, "partitions": {}}
for partition, count in request["partitions"].items():
    expected["partitions"][partition] = list(range(count))
    for offset in range(count):
        row = {"sample_id": str(uuid.uuid4()), "_partition": int(partition), "_offset": offset}
        expected["count"] += 1
        expected["id_sum"] = (expected["id_sum"] + canonical.id_bits(row["sample_id"])) % 2**64
        copies = 1 if partition != "0" else 1 - (offset in request["drop"]) + (offset in request["twice"])
        rows += [row] * copies
table.append(pa.Table.from_pylist(rows, schema=schema))
canonical.answer(expected)
