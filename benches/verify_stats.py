"""Compares the statistics of `daily_stats` with a GROUP BY over the samples, by DuckDB.

Prints one JSON object: how many rows there are.  Its arguments: the folders of catalog.db and warehouse of both.  (That sums are
right to the last bit is what tests/daily_stats.rs proves; DuckDB's own sums are good to twelve digits here.)
"""

import importlib
import json
import pathlib
import sys

import duckdb
from pyiceberg.catalog.sql import SqlCatalog

db = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
for extension in ("avro", "iceberg"):
    package = pathlib.Path(importlib.import_module(f"duckdb_extension_{extension}").__file__).parent
    (file,) = package.glob(f"extensions/*/{extension}.duckdb_extension")
    db.execute(f"load '{file}'")


def scan(folder, name):
    catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    location = catalog.load_table(f"bench.{name}").metadata_location
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
