"""What DuckDB finds of a table of numbered sessions, beside the same computed from the records that it was made from.

Its one argument: {"catalog": properties, "table", "records", "gap_s"}.  The records are a CSV file: id, n, user_id, start_time (UTC,
may be empty), where n counts the records of a user.  The answer: how many rows there are; how many different ids; how many
sessions; and rows that only the table has, or only the records give.
"""

import json
import sys

from pyiceberg.catalog import load_catalog

import canonical
import duck

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
db = duck.connect(table.metadata_location, request["catalog"])
scan = duck.scan(table.metadata_location)
db.execute(f"create table found as select sample_id, user_id, session from {scan}")
db.execute(
    """create table expected as
       with records as (
         select * from read_csv(?, header = true,
                                columns = {'id': 'varchar', 'n': 'bigint', 'user_id': 'varchar', 'start_time': 'timestamp'})
       ), timed as (
         select *, max(start_time) over (partition by user_id order by n rows between unbounded preceding and 1 preceding) as last
         from records where user_id is not null and start_time is not null
       ), numbered as (
         select id, 1 + count(*) filter (start_time - last > to_seconds(?)) over (partition by user_id order by n) as session
         from timed
       )
       select id, user_id, session from records left join numbered using (id)""",
    [request["records"], request["gap_s"]],
)


def only(one, other):
    return [str(row) for row in db.execute(f"from {one} except all from {other} order by all limit 5").fetchall()]


count, ids, sessions = db.execute(
    "select count(*), count(distinct sample_id), count(distinct (user_id, session)) filter (session is not null) from found"
).fetchone()
canonical.answer(
    {
        "count": count,
        "ids": ids,
        "sessions": sessions,
        "only_found": only("found", "expected"),
        "only_expected": only("expected", "found"),
    }
)
