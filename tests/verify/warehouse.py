"""Looks at the files of a table where they lie, those that no snapshot names among them.

Its one argument: {"catalog": properties, "table", "copy": [[path, name]]}.  First each file is copied to another name
beside it; then all files of the data location are listed.
"""

import json
import sys

from pyarrow import fs
from pyiceberg.catalog import load_catalog

import canonical

request = json.loads(sys.argv[1])
table = load_catalog("default", **request["catalog"]).load_table(request["table"])
location = table.location() + "/data"
scheme, rest = location.split("://", 1)
if scheme == "file":
    files = fs.LocalFileSystem()
else:
    catalog = request["catalog"]
    files = fs.S3FileSystem(
        access_key=catalog["s3.access-key-id"],
        secret_key=catalog["s3.secret-access-key"],
        endpoint_override=catalog["s3.endpoint"],
        region=catalog["s3.region"],
    )
for path, name in request["copy"]:
    path = path.split("://", 1)[1]
    files.copy_file(path, path.rsplit("/", 1)[0] + "/" + name)
found = files.get_file_info(fs.FileSelector(rest, recursive=True, allow_not_found=True))
canonical.answer(sorted(f"{scheme}://{info.path}" for info in found if info.type == fs.FileType.File))
