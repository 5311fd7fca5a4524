"""How a table's files are attributed to its snapshots, by pyiceberg.

Its one argument: {"catalog": properties, "table"}.  The answer:

* `manifests`: how many the current snapshot names; `inspected`: the files that `inspect.manifests()` counts in them;
* `entries`: file → snapshot that added it and its sequence number, of the live entries of the current snapshot;
* `added`: the same as an incremental read finds it: for each retained snapshot the entries of its own manifests that
  have the status ADDED and its id.
"""

import json
import sys

from pyiceberg.catalog import load_catalog
from pyiceberg.manifest import ManifestEntryStatus

import canonical

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
manifests = table.inspect.manifests().to_pylist()
entries = {
    entry["data_file"]["file_path"]: [entry["snapshot_id"], entry["sequence_number"]]
    for entry in table.inspect.entries().to_pylist()
    if entry["status"] != ManifestEntryStatus.DELETED.value
}
added = {}
for snapshot in table.snapshots():
    own = [m for m in snapshot.manifests(table.io) if m.added_snapshot_id == snapshot.snapshot_id]
    for manifest in own:
        for entry in manifest.fetch_manifest_entry(table.io):
            if entry.status == ManifestEntryStatus.ADDED and entry.snapshot_id == snapshot.snapshot_id:
                added[entry.data_file.file_path] = [entry.snapshot_id, entry.sequence_number]
canonical.answer(
    {
        "manifests": len(manifests),
        "inspected": sum(m["added_data_files_count"] + m["existing_data_files_count"] for m in manifests),
        "entries": entries,
        "added": added,
    }
)
