"""What both readers share: counting rows by partition and offset, and one canonical form of values."""

import datetime
import decimal
import json
import math
import sys
import uuid

import pyarrow as pa
import pyarrow.compute as pc


def iso(micros, utc):
    """ISO 8601 from microseconds since 1970; a plain number outside of the years 1 to 9999."""
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
    except OverflowError:
        return f"{micros} us"
    return moment.isoformat() + ("Z" if utc else "")


def canonical(scalar):
    """A JSON value that does not depend on who read it."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.ExtensionScalar):
        value = scalar.as_py()
        return str(value) if isinstance(value, uuid.UUID) else canonical(scalar.value)
    kind = scalar.type
    if pa.types.is_timestamp(kind):
        micros = {"s": 10**6, "ms": 10**3, "us": 1}
        if kind.unit == "ns":
            seconds, nanos = divmod(scalar.value, 10**9)
            return iso(seconds * 10**6, kind.tz is not None) + f"+{nanos}ns"
        return iso(scalar.value * micros[kind.unit], kind.tz is not None)
    if pa.types.is_date32(kind):
        return iso(scalar.value * 86_400_000_000, False).removesuffix("T00:00:00")
    if pa.types.is_time64(kind):
        micros = scalar.value // (1000 if kind.unit == "ns" else 1)
        return iso(micros, False).split("T")[1]
    if pa.types.is_struct(kind):
        return {field.name: canonical(scalar[field.name]) for field in kind}
    if pa.types.is_map(kind):
        return [[canonical(entry["key"]), canonical(entry["value"])] for entry in map_entries(scalar)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [canonical(value) for value in scalar.values]
    value = scalar.as_py()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return value.hex()
    return value


def map_entries(scalar):
    entries = scalar.values
    key, value = entries.type.field(0).name, entries.type.field(1).name
    return ({"key": entry[key], "value": entry[value]} for entry in entries)


def rows(table):
    """The rows as dictionaries of canonical values."""
    columns = {name: [canonical(v) for v in table.column(name)] for name in table.column_names}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def summary(table, ids, max_rows_shown=20):
    """Counts of a table with the columns _partition and _offset, and the id column if it has one."""
    result = {"count": table.num_rows, "distinct_ids": 0, "id_sum": 0, "partitions": {}}
    if ids in table.column_names:
        values = [str(v) for v in table.column(ids).to_pylist() if v is not None]
        result["distinct_ids"] = len(set(values))
        # An id that is no UUID (a row of another kind) counts as 0, as the producer counts it.
        result["id_sum"] = sum(map(id_bits, values)) % 2**64
    if "_partition" not in table.column_names:
        return result
    for partition in sorted(pc.unique(table.column("_partition")).to_pylist()):
        of_partition = table.filter(pc.equal(table.column("_partition"), partition))
        offsets = sorted(of_partition.column("_offset").to_pylist())
        distinct = sorted(set(offsets))
        pairs = zip(distinct, distinct[1:])
        result["partitions"][partition] = {
            "count": len(offsets),
            "distinct": len(distinct),
            "first": distinct[0],
            "last": distinct[-1],
            "sum": sum(distinct),
            "duplicates": sorted({a for a, b in zip(offsets, offsets[1:]) if a == b})[:max_rows_shown],
            "gaps": [n for a, b in pairs if b > a + 1 for n in range(a + 1, min(b, a + 21))][:max_rows_shown],
        }
    return result


def id_bits(text):
    """The first 64 bits of a UUID."""
    digits = text.replace("-", "")
    try:
        return int(digits[:16], 16) if len(digits) == 32 else 0
    except ValueError:
        return 0


def answer(value):
    json.dump(value, sys.stdout, ensure_ascii=True, allow_nan=False)
