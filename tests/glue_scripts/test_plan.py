import json

import pytest

from glue_scripts.errors import PlanUnreadable
from glue_scripts.plan import Plan

PLAN = {
    "dataset": "people",
    "contract": "people",
    "version": "1.0.0",
    "fingerprint": "f",
    "format": "iceberg",
    "processed_format": "parquet",
    "files": ["raw/people/**"],
    "csv": {"delimiter": ",", "quote": '"', "encoding": "UTF-8", "null_values": [""]},
    "source_columns": ["Given Name", "age"],
    "columns": [
        {"name": "name", "type": "string", "expression": "`Given Name`"},
        {"name": "age", "type": "int", "expression": "try_cast(`age` AS int)"},
    ],
    "derived": [],
    "rules": [
        {"id": "name.required", "column": "name", "predicate": "_src.`Given Name` IS NOT NULL", "reason": "'x'"},
        {"id": "age.type", "column": "age", "predicate": "_src.`age` IS NULL OR age IS NOT NULL", "reason": "'y'"},
    ],
    "primary_key": [],
    "version_column": None,
    "partition": {"year": "year(_arrived_at)", "month": "date_format(_arrived_at, 'MM')"},
}


def test_the_columns_a_file_must_have_are_those_its_rules_of_presence_ask_for():
    assert Plan.from_json(json.dumps(PLAN)).required_columns == ("Given Name",)


def test_a_plan_without_a_part_is_refused_by_the_parts_name():
    with pytest.raises(PlanUnreadable, match="rules"):
        Plan.from_json(json.dumps({key: value for key, value in PLAN.items() if key != "rules"}))


def test_text_that_is_no_plan_is_refused():
    with pytest.raises(PlanUnreadable):
        Plan.from_json("[]")
