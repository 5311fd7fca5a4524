"""What other people do to a table while calve writes to it, by pyiceberg.

Its one argument: {"catalog": properties, "table", "change"}, where change is one of
  {"append": [rows]}       appends rows (columns that are not named are null)
  {"recreate": true}       drops the table and makes it again, empty
  {"drop": true}           drops it
  {"set": {key: value}}    sets table properties
  {"rewrite": true}        replaces all data files by new ones with the same rows, as a compaction does
  {"expire": true}         expires all snapshots but the current one
  {"rollback": true}       makes the parent of the current snapshot the current one
  {"add_column": name}     adds a column of text
  {"drop_column": name}    drops a column
  {"partition_by": name}   partitions what is written from now on by the values of a column
"""

import json
import sys
import time

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.types import StringType

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
        elif "rewrite" in change:
            table.overwrite(table.scan().to_arrow())
        elif "expire" in change:
            current = table.metadata.current_snapshot_id
            others = [s.snapshot_id for s in table.metadata.snapshots if s.snapshot_id != current]
            table.maintenance.expire_snapshots().by_ids(others).commit()
        elif "rollback" in change:
            parent = table.current_snapshot().parent_snapshot_id
            with table.manage_snapshots() as manage:
                manage.rollback_to_snapshot(parent)
        elif "add_column" in change:
            with table.update_schema() as update:
                update.add_column(change["add_column"], StringType())
        elif "drop_column" in change:
            with table.update_schema() as update:
                update.delete_column(change["drop_column"])
        elif "partition_by" in change:
            with table.update_spec() as update:
                update.add_identity(change["partition_by"])
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
