"""What other people do to a table while calve writes to it, by pyiceberg.

Its one argument: {"catalog": properties, "table", "change"}, where change is one of
  {"append": [rows]}       appends rows (columns that are not named are null)
  {"recreate": true}       drops the table and makes it again, empty
  {"drop": true}           drops it
  {"purge": true}          drops it and deletes its folder, with the files that no snapshot names
  {"set": {key: value}}    sets table properties
  {"roll_back": n}         makes main the snapshot n commits with rows before the current one
  {"undo": true}           makes the parent of the current snapshot the current one
  {"undo_roll_back": true} makes the newest snapshot that is retained the current one
  {"expire": true}         removes the snapshots that main does not lead to
  {"keep": n}              removes all snapshots but the newest n
  {"copy": filter}         appends a copy of the rows that match
  {"delete": filter}       deletes the rows that match
  {"rewrite": true}        replaces all data files by new ones with the same rows, as a compaction does
  {"add_column": name}     adds a column of text
  {"drop_column": name}    drops a column
  {"partition_by": name}   partitions what is written from now on by the values of a column
"""

import json
import sys
import time

import pyarrow as pa
from pyarrow.fs import FileType
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table.snapshots import ancestors_of
from pyiceberg.types import StringType

import canonical


def delete_folder(table):
    scheme, netloc, path = table.io.parse_location(table.location())
    storage = table.io.fs_by_scheme(scheme, netloc)
    try:
        storage.delete_dir(path)
    except OSError:
        # Some S3 servers complain about the object of a folder that is deleted with its files; it goes with them.
        if storage.get_file_info(path).type != FileType.NotFound:
            raise


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
        elif "roll_back" in change:
            snapshot, left = table.current_snapshot(), change["roll_back"]
            while left > 0:
                left -= int(snapshot.summary.additional_properties.get("added-records", 0)) > 0
                snapshot = table.snapshot_by_id(snapshot.parent_snapshot_id)
            table.manage_snapshots().rollback_to_snapshot(snapshot.snapshot_id).commit()
        elif "undo" in change:
            table.manage_snapshots().rollback_to_snapshot(table.current_snapshot().parent_snapshot_id).commit()
        elif "undo_roll_back" in change:
            newest = max(table.snapshots(), key=lambda snapshot: snapshot.sequence_number)
            table.manage_snapshots().set_current_snapshot(newest.snapshot_id).commit()
        elif "expire" in change:
            lineage = {snapshot.snapshot_id for snapshot in ancestors_of(table.current_snapshot(), table.metadata)}
            cut_off = [s.snapshot_id for s in table.snapshots() if s.snapshot_id not in lineage]
            table.maintenance.expire_snapshots().by_ids(cut_off).commit()
        elif "keep" in change:
            newest = sorted(table.snapshots(), key=lambda s: s.sequence_number)[-change["keep"] :]
            kept = {snapshot.snapshot_id for snapshot in newest}
            old = [s.snapshot_id for s in table.snapshots() if s.snapshot_id not in kept]
            table.maintenance.expire_snapshots().by_ids(old).commit()
        elif "copy" in change:
            table.append(table.scan(row_filter=change["copy"]).to_arrow())
        elif "delete" in change:
            table.delete(change["delete"])
        elif "rewrite" in change:
            table.overwrite(table.scan().to_arrow())
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
            if "purge" in change:
                delete_folder(table)
        break
    except CommitFailedException:
        # The other writer was faster; pyiceberg does not try again by itself.
        if attempts == 50:
            raise
        time.sleep(0.1)
        table = catalog.load_table(request["table"])
canonical.answer({"attempts": attempts})
