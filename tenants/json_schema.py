"""JSON Schema of the YAML files, for editors; `python -m tenants.json_schema` writes it into tenants/schema/."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tenants.entries import EnvironmentsFile, TenantsFile

__all__ = ["FOLDER", "schemas", "write"]

FOLDER = Path(__file__).parent / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """The text of each schema file by its name."""
    return {
        "environments.schema.json": _text(EnvironmentsFile),
        "tenants.schema.json": _text(TenantsFile),
    }


def _text(model: type[BaseModel]) -> str:
    schema = {"$schema": DIALECT} | _tidy(model.model_json_schema())
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _tidy(value: Any) -> Any:
    """The schema as editors should read it: a dataset may also be a bare name, defaults are as people write them."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    tidy = {key: _tidy(item) for key, item in value.items()}
    if "default" in tidy and not _is_written_so(tidy):
        del tidy["default"]
    definitions = tidy.get("$defs", {})
    if "Dataset" in definitions:
        definitions["Dataset"] = _bare_or_full(definitions["Dataset"])
    return tidy


def _is_written_so(schema: dict[str, Any]) -> bool:
    """Whether a default is what a person would write, and not its bytes, its seconds or the absence of it."""
    return isinstance(schema["default"], str | bool) or schema.get("type") == "integer"


def _bare_or_full(dataset: dict[str, Any]) -> dict[str, Any]:
    full = dataset | {"required": ["name"]}
    return {"title": "Dataset", "anyOf": [dict(dataset["properties"]["name"]), full]}


def write(folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
