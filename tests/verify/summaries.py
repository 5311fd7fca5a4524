"""The summaries of a table's retained snapshots, oldest first, by pyiceberg.

Its one argument: {"catalog": properties, "table"}
"""

import json
import sys

from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
snapshots = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number)
canonical.answer([snapshot.summary.additional_properties for snapshot in snapshots])
