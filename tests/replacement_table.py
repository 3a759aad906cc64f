"""`python -m tests.replacement_table TYPE…` writes deployment/replacements.json from the resource schemas in cfn-lint.

CloudFormation publishes them; cfn-lint keeps a dated copy. Types that the table has stay in it, more can be named.
"""

import json
import sys
from collections.abc import Iterable
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

TABLE = Path(__file__).resolve().parents[1] / "deployment" / "replacements.json"
REGION = "us-east-1"


def table(types: Iterable[str]) -> dict[str, Any]:
    version = json.loads(resources.files("cfnlint.data.schemas").joinpath("version.json").read_text())
    return {
        "source": f"CloudFormation resource schemas of {version['schema_date'][:10]}, Region {REGION}, "
        f"by cfn-lint {metadata.version('cfn-lint')}",
        "types": {name: facts(name) for name in sorted(types)},
    }


def facts(name: str) -> dict[str, Any]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, name).schema
    found = {
        "properties": sorted(schema["properties"]),
        "create_only": plain(schema.get("createOnlyProperties", [])),
        "conditional": plain(schema.get("conditionalCreateOnlyProperties", [])),
        "identifier": plain(schema.get("primaryIdentifier", [])),
    }
    return {key: value for key, value in found.items() if value}


def plain(pointers: Iterable[str]) -> list[str]:
    return sorted(pointer.removeprefix("/properties/") for pointer in pointers)


def known() -> set[str]:
    return set(json.loads(TABLE.read_text())["types"]) if TABLE.exists() else set()


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(known() | set(sys.argv[1:])), indent=1) + "\n")
