"""The id of the current snapshot.  Its one argument: {"catalog": properties, "table"}."""

import json
import sys

from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
canonical.answer(table.current_snapshot().snapshot_id)
