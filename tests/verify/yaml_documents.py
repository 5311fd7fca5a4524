"""The documents of a YAML file as JSON, by a parser that calve does not use.

Its one argument: {"path"}.
"""

import json
import sys

from strictyaml import ruamel

path = json.loads(sys.argv[1])["path"]
with open(path) as file:
    print(json.dumps(list(ruamel.YAML(typ="safe").load_all(file))))
