"""What DuckDB finds of a changelog of statistics, beside a GROUP BY over the records that it was made from.

Its one argument: {"catalog": properties, "table", "s3": properties, "view", "records"}.  The view is the statement of the
documentation with {table} in it; the records are a CSV file: user_id, data_type, value, start_time (UTC).
Sums are Python's math.fsum, which rounds the exact sum once.  The answer: both as rows of text, ordered, every bit of a double
in them; how many records the days of the view count; the number of rows in the changelog; and how many of them are changes of what was there before.
"""

import json
import math
import sys

from pyiceberg.catalog import load_catalog

import canonical
import duck

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
db = duck.connect(table.metadata_location, request["catalog"])
scan = duck.scan(table.metadata_location)


def text(value):
    """Without loss: all bits of a double, one NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    return value.hex() if isinstance(value, bytes) else str(value)


names = ["user_id", "data_type", "period", "start_date", "count", "nulls", "sum", "min", "max", "mean"]
db.execute(f"create view changelog as select * from {scan}")
current = db.execute(request["view"].replace("{table}", "changelog")).to_arrow_table().to_pylist()
view = sorted("|".join(text(row[name]) for name in names) for row in current)
exact = sorted("|".join(text(v) for v in row.values()) for row in current)

grouped = db.execute(
    """select user_id, data_type, period, date_trunc(period, start_time)::date, count(value),
              count(*) - count(value), min(value), max(value), list(value) filter (value is not null)
       from (select *, unnest(['day', 'week', 'month']) as period
             from read_csv(?, header = true, columns = {'user_id': 'varchar', 'data_type': 'varchar', 'value': 'double',
                                                        'start_time': 'timestamp'}))
       group by all""",
    [request["records"]],
).fetchall()
expected = []
for *key, count, nulls, least, greatest, values in grouped:
    total = math.fsum(values) if values else None
    mean = total / count if values else None
    expected.append("|".join(text(v) for v in [*key, count, nulls, total, least, greatest, mean]))

counted = sum(row["count"] + row["nulls"] for row in current if row["period"] == "day")
rows, taken_back = db.execute("select count(*), count(*) filter (_diff = -1) from changelog").fetchone()
canonical.answer(
    {
        "view": view,
        "exact": exact,
        "expected": sorted(expected),
        "counted": counted,
        "rows": rows,
        "taken_back": taken_back,
    }
)
