"""What is in a namespace, and what lies beside the files of one of its tables.

Its one argument: {"catalog": properties, "table"}. The answer: the names of all tables, and the folders and files in
the folder that the table's own folder is in.
"""

import json
import sys

from pyarrow import fs
from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
catalog = load_catalog("default", **request["catalog"])
table = catalog.load_table(request["table"])
scheme, rest = table.location().rstrip("/").rsplit("/", 1)[0].split("://", 1)
if scheme == "file":
    files = fs.LocalFileSystem()
else:
    properties = request["catalog"]
    files = fs.S3FileSystem(
        access_key=properties["s3.access-key-id"],
        secret_key=properties["s3.secret-access-key"],
        endpoint_override=properties["s3.endpoint"],
        region=properties["s3.region"],
    )
tables = [".".join(name) for name in catalog.list_tables(request["table"].rsplit(".", 1)[0])]
found = files.get_file_info(fs.FileSelector(rest, recursive=False))
canonical.answer({"tables": sorted(tables), "beside": sorted(info.base_name for info in found)})
