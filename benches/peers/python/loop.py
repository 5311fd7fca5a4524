"""A careful Python loop: Kafka -> Parquet -> Iceberg, exactly once, to the ends that the topic has at the start.

It does what calve claims, by the same idea: files are written first, and one table commit makes them visible together
with the offsets, in the snapshot's summary.  A start reads the offsets of the newest snapshot.  What it has not: fencing
of a second copy, protection from a commit that is applied twice, rejects, bounded memory for large records.

As its parts' documentation has it best:

* confluent-kafka, `consume` in batches: https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html
* pyarrow's JSON reader with an explicit schema, in its own threads: https://arrow.apache.org/docs/python/json.html
* pyiceberg, files added in one commit with its properties: https://py.iceberg.apache.org/api/#add-files
"""

import argparse
import json
import time
import uuid

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet
from confluent_kafka import Consumer, TopicPartition
from pyiceberg.catalog.rest import RestCatalog

TIME = pa.timestamp("us", tz="UTC")
COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("sample_id", "user_id", "device_id", "data_type")]
    + [("value", pa.float64()), ("unit", pa.string()), ("start_time", TIME), ("end_time", TIME)]
    + [("source_bundle", pa.string())]
)
# Field ids are how Iceberg knows columns.
FILE_SCHEMA = pa.schema([field.with_metadata({"PARQUET:field_id": str(n)}) for n, field in enumerate(COLUMNS, 1)])
OFFSETS = "loop.offsets"
MESSAGES = 10_000
ROW_GROUP = 256 * 1024

parser = argparse.ArgumentParser()
parser.add_argument("--brokers", required=True)
parser.add_argument("--topic", required=True)
parser.add_argument("--catalog", required=True)
parser.add_argument("--table", required=True)
parser.add_argument("--interval", type=float, required=True, help="seconds between two commits")
arguments = parser.parse_args()

table = RestCatalog("rest", uri=arguments.catalog).load_table(arguments.table)
consumer = Consumer(
    {
        "bootstrap.servers": arguments.brokers,
        "group.id": "loop",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "fetch.queue.backoff.ms": 5,
        "queued.max.messages.kbytes": 65536,
    }
)
partitions = sorted(consumer.list_topics(arguments.topic).topics[arguments.topic].partitions)
marks = {p: consumer.get_watermark_offsets(TopicPartition(arguments.topic, p)) for p in partitions}
ends = {p: high for p, (_, high) in marks.items()}
snapshot = table.current_snapshot()
stored = json.loads(snapshot.summary[OFFSETS]) if snapshot else {}
position = {p: stored.get(str(p), low) for p, (low, _) in marks.items()}
consumer.assign([TopicPartition(arguments.topic, p, position[p]) for p in partitions])


class Checkpoint:
    """The rows since the last commit: in memory up to a row group, then in a file that nothing names yet."""

    def __init__(self):
        self.since = time.monotonic()
        self.rows, self.count = [], 0
        self.path = f"{table.location()}/data/{uuid.uuid4()}.parquet"
        self.writer = None

    def add(self, rows):
        self.rows.append(rows)
        self.count += rows.num_rows
        if self.count >= ROW_GROUP:
            self.flush()

    def flush(self):
        if self.count == 0:
            return
        if self.writer is None:
            self.output = table.io.new_output(self.path).create()
            self.writer = pa.parquet.ParquetWriter(self.output, FILE_SCHEMA, compression="zstd")
        self.writer.write_table(pa.concat_tables(self.rows).cast(FILE_SCHEMA), row_group_size=ROW_GROUP)
        self.rows, self.count = [], 0

    def commit(self):
        self.flush()
        if self.writer is None:
            return
        self.writer.close()
        self.output.close()
        table.add_files([self.path], snapshot_properties={OFFSETS: json.dumps(position)}, check_duplicate_files=False)


def decode(messages):
    """One table of many messages."""
    for message in messages:
        if message.error():
            raise RuntimeError(message.error())
        position[message.partition()] = message.offset() + 1
    lines = b"\n".join([message.value() for message in messages])
    return pa.json.read_json(
        pa.BufferReader(lines),
        read_options=pa.json.ReadOptions(block_size=1 << 20),
        parse_options=pa.json.ParseOptions(explicit_schema=COLUMNS, unexpected_field_behavior="error"),
    )


checkpoint = Checkpoint()
while position != ends:
    messages = consumer.consume(MESSAGES, timeout=0.1)
    if messages:
        checkpoint.add(decode(messages))
    if time.monotonic() - checkpoint.since >= arguments.interval:
        checkpoint.commit()
        checkpoint = Checkpoint()
checkpoint.commit()
