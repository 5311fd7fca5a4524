"""Compares the statistics of `daily_stats` with a GROUP BY over the samples, by DuckDB.

Prints one JSON object: how many rows there are.  Its arguments: the folders of catalog.db and warehouse of both.  (That sums are
right to the last bit is what tests/daily_stats.rs proves; DuckDB's own sums are good to twelve digits here.)
"""

import json
import sys

from reader import duck, table_of

db = duck()


def scan(folder, name):
    location = table_of(folder, name).metadata_location
    return f"iceberg_scan('{location.removeprefix('file://')}')"


stats, samples = scan(sys.argv[1], "daily"), scan(sys.argv[2], "samples")
db.execute(
    f"""create table found as select * exclude (_diff, _epoch) from {stats} group by all having sum(_diff) > 0;
        create table expected as
        select user_id, data_type, period, date_trunc(period, make_timestamp(epoch_us(start_time)))::date as start_date,
               count(*) as n, fsum(value) as s, min(value) as least, max(value) as greatest
        from (select *, unnest(['day', 'week', 'month']) as period from {samples}) group by all"""
)
rows, expected, right = db.execute(
    """select (select count(*) from found), (select count(*) from expected), count(*)
       from found join expected using (user_id, data_type, period, start_date)
       where count = n and min = least and max = greatest and abs(sum - s) <= 1e-12 * abs(s)"""
).fetchone()
if not rows == expected == right > 0:
    sys.exit(f"{rows} rows in the view, {expected} groups and periods in the samples, {right} of them agree")
print(json.dumps({"rows": rows}))
