"""Makes an empty table with pyiceberg: a table that calve finds.

Its one argument: {"catalog": properties, "table", "columns": [[name, type, required]], "properties",
"identity": the columns that it is partitioned by}.
"""

import json
import sys

from pyiceberg.catalog import load_catalog
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import NestedField

import canonical

request = json.loads(sys.argv[1])
catalog = load_catalog("default", **request["catalog"])
catalog.create_namespace_if_not_exists(request["table"].rsplit(".", 1)[0])
fields = [
    NestedField.model_validate({"id": n, "name": name, "type": kind, "required": required})
    for n, (name, kind, required) in enumerate(request["columns"], 1)
]
table = catalog.create_table(request["table"], Schema(*fields), properties=request.get("properties", {}))
if request.get("identity"):
    with table.update_spec() as update:
        for name in request["identity"]:
            # Under another name than the column's: that one is taken.
            update.add_field(name, IdentityTransform(), f"by{name}")
canonical.answer({"location": table.location(), "uuid": str(table.metadata.table_uuid)})
