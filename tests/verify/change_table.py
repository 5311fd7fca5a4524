"""What other people do to a table while calve writes to it, by pyiceberg.

Its one argument: {"catalog": properties, "table", "change"}, where change is one of
  {"append": [rows]}       appends rows (columns that are not named are null)
  {"recreate": true}       drops the table and makes it again, empty
  {"drop": true}           drops it
  {"set": {key: value}}    sets table properties
  {"roll_back": n}         takes main back by n snapshots
  {"undo_roll_back": true} takes main to the newest snapshot that is retained
"""

import json
import sys
import time

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException

import canonical

request = json.loads(sys.argv[1])
catalog = load_catalog("default", **request["catalog"])
table = catalog.load_table(request["table"])
change = request["change"]
attempts = 0
while True:
    attempts += 1
    try:
        if "append" in change:
            table.append(pa.Table.from_pylist(change["append"], schema=table.schema().as_arrow()))
        elif "set" in change:
            with table.transaction() as transaction:
                transaction.set_properties(change["set"])
        elif "roll_back" in change or "undo_roll_back" in change:
            back = change.get("roll_back", 0)
            by_age = sorted(table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number)
            with table.manage_snapshots() as snapshots:
                snapshots.set_current_snapshot(by_age[-1 - back].snapshot_id)
        else:
            schema = table.schema()
            catalog.drop_table(request["table"])
            if "recreate" in change:
                catalog.create_table(request["table"], schema)
        break
    except CommitFailedException:
        # The other writer was faster; pyiceberg does not try again by itself.
        if attempts == 50:
            raise
        time.sleep(0.1)
        table = catalog.load_table(request["table"])
canonical.answer({"attempts": attempts})
