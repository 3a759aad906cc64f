import json

from tenants.json_schema import FOLDER, schemas


def test_the_committed_schemas_are_current():
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert written == schemas(), "run `python -m tenants.json_schema`"


def test_every_key_is_described():
    def undescribed(schema, where):
        for name, part in schema.get("properties", {}).items():
            if "description" not in part and "$ref" not in part:
                yield f"{where}.{name}"
        for name, part in schema.get("$defs", {}).items():
            yield from undescribed(part["anyOf"][1] if "anyOf" in part else part, name)

    for text in schemas().values():
        schema = json.loads(text)
        missing = [where for where in undescribed(schema, schema["title"]) if where != "Dataset.name"]
        assert missing == []


def test_a_dataset_is_a_name_or_a_mapping():
    dataset = json.loads(schemas()["tenants.schema.json"])["$defs"]["Dataset"]

    assert [option["type"] for option in dataset["anyOf"]] == ["string", "object"]
    assert dataset["anyOf"][1]["required"] == ["name"]
    assert "contract" in dataset["anyOf"][1]["properties"]


def test_the_files_point_editors_to_their_schema():
    folder = FOLDER.parent

    for name in ("tenants", "environments"):
        first = (folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
        assert first == f"# yaml-language-server: $schema=schema/{name}.schema.json"
