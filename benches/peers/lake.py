"""Where all pipelines write: Apache Iceberg's REST catalog over a folder, and what DuckDB and pyiceberg find there."""

import json
import os
import pathlib
import sys
import time
import urllib.request
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.rest import RestCatalog

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from process import Running, free_ports  # noqa: E402
import tables  # noqa: E402

TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("sample_id", "user_id", "device_id", "data_type")]
    + [("value", pa.float64()), ("unit", pa.string()), ("start_time", TIME), ("end_time", TIME)]
    + [("source_bundle", pa.string())]
)
# The same for every writer; of everything else each has its default.
PROPERTIES = {"format-version": "2", "write.parquet.compression-codec": "zstd"}


class Found(NamedTuple):
    """What a table holds, of so many expected records whose ids all differ."""

    lost: int
    duplicated: int
    # The sum of the hashes of all rows: the same rows, the same sum, in any order.
    digest: int
    files: int
    bytes: int


class Lake:
    """A catalog of its own: that of the tests keeps its tables in S3, whose server would work on the same cores."""

    def __init__(self, folder):
        self.warehouse = f"file://{folder}/warehouse"
        (port,) = free_ports(1)
        self.uri = f"http://127.0.0.1:{port}"
        start = HERE.parent.parent / "tests/services/rest.sh"
        jars = pathlib.Path(os.environ["CALVE_TEST_KAFKA_JARS"]).parent / "rest"
        self.server = Running([start, jars, folder / "rest", port, self.warehouse], dict(os.environ), folder / "rest.log")
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.uri}/v1/config", timeout=5).close()
                break
            except OSError:
                if self.server.wait(0.1):
                    sys.exit(f"the catalog did not start:\n{self.server.tail()}")
        self.client = RestCatalog("rest", uri=self.uri)
        self.client.create_namespace("bench")

    def create(self, name):
        """The table as all pipelines get it."""
        self.client.create_table(name, schema=SCHEMA, properties=PROPERTIES)

    def drop(self, name):
        """The table and its files: disk is not what is measured."""
        self.client.purge_table(name)

    def rows(self, name):
        """How many rows the table says it has; cheap enough to be asked while a pipeline is measured."""
        namespace, table = name.split(".")
        try:
            with urllib.request.urlopen(f"{self.uri}/v1/namespaces/{namespace}/tables/{table}", timeout=10) as answer:
                metadata = json.load(answer)["metadata"]
        except OSError:
            return 0
        current = [s for s in metadata.get("snapshots", ()) if s["snapshot-id"] == metadata["current-snapshot-id"]]
        return int(current[0]["summary"].get("total-records", 0)) if current else 0

    def find(self, name, records):
        """Has DuckDB count."""
        table = self.client.load_table(name)
        columns = ", ".join(f"epoch_us({f.name})" if f.type == TIME else f.name for f in SCHEMA)
        total, ids, digest = tables.connect(table).execute(
            f"select count(*), count(distinct sample_id), sum(hash({columns})::hugeint) from {tables.scan(table)}"
        ).fetchone()
        files = table.inspect.files()
        size = pc.sum(files["file_size_in_bytes"]).as_py()
        return Found(records - ids, total - ids, digest, files.num_rows, size or 0)

    def end(self):
        self.server.end()
