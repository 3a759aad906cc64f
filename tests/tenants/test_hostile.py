"""What somebody may write into the files who wants to be somebody else, to be read as a command, or to be waited for."""

import json
import random
import re
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants.contract import read_contract
from tenants.document import MAX_PROBLEMS, MAX_VALUES, parse
from tenants.errors import Problem, RegistryError
from tenants.registry import load
from tests.tenants.conftest import ENVIRONMENTS, ORDERS, TENANTS

A_LINE = re.compile(r"tenants/(tenants|environments|contracts/orders)\.yaml:[0-9]+: ")


def problems(folder):
    with pytest.raises(RegistryError) as raised:
        load(folder)
    return str(raised.value).split("\n")


def write(folder, old, new):
    """tenants.yaml with one value in place of another; `new` stands there as JSON, so every character is possible."""
    assert old in TENANTS
    (folder / "tenants.yaml").write_text(TENANTS.replace(old, json.dumps(new), 1))


LOOK_ALIKES = {
    "cyrillic a": "\u0430cme",
    "full width": "\uff41cme",
    "combining": "acme\u0301",
    "zero width": "ac\u200bme",
    "right to left": "acme\u202e",
    "dotless i": "acm\u0131",
    "long s that folds to s": "acme\u017f",
    "kelvin sign that folds to k": "\u212aacme",
    "arabic digit": "acme\u0663",
    "ligature": "\ufb01acme",
}
BREAK_OUTS = {
    "newline": "acme\n",
    "newline inside": "ac\nme",
    "carriage return": "acme\r",
    "NUL": "acme\0",
    "parent": "..",
    "path": "../acme",
    "slash": "acme/eu",
    "backslash": "acme\\eu",
    "star": "acme*",
    "question mark": "acm?",
    "policy variable": "${aws:PrincipalTag/tenant}",
    "shell": "$(id)",
    "expression": "${{secrets.X}}",
    "reference": "{{resolve:ssm:x}}",
    "ARN": "arn:aws:s3",
    "blank": "ac me",
    "comma": "a,b,c",
    "quote": "acme'",
    "SQL": "acme;--",
    "ledger's delimiter": "acme#x",
    "database's delimiter": "acme_eu",
    "capital": "ACME",
    "two hyphens": "ac--me",
    "hyphen first": "-acme",
    "hyphen last": "acme-",
    "one character": "a",
    "two characters": "ab",
    "21 characters": "x" * 21,
    "40 characters": "x" * 40,
    "a million characters": "x" * 900_000,
    "nothing": "",
    "reserved": "shared",
    "reserved too": "primary",
    "environment": "dev",
    "environment as a part": "acme-dev",
    "environment begins a part": "acme-devs",
}


@pytest.mark.parametrize("name", [*LOOK_ALIKES.values(), *BREAK_OUTS.values()], ids=[*LOOK_ALIKES, *BREAK_OUTS])
def test_an_id_that_would_not_be_one_name_everywhere_is_refused_at_its_line_and_in_one_line(folder, name):
    write(folder, "acme", name)

    found = problems(folder)

    assert any(line.startswith("tenants/tenants.yaml:3: ") and ".id: " in line for line in found)
    assert all(line.isprintable() and len(line) < 1_000 for line in found)


@pytest.mark.parametrize("name", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_a_look_alike_is_shown_for_what_it_is(folder, name):
    write(folder, "acme", name)

    (said,) = [line for line in problems(folder) if " is no tenant id" in line]

    assert "\\u" in said or "\\x" in said


@pytest.mark.parametrize("name", ["acm", "acme-eu", "a-b-c-d-e-f-g-h-i-j", "x" * 20, "xn1", "null1", "con", "e2e"])
def test_an_id_that_is_one_name_everywhere_is_taken(folder, name):
    write(folder, "acme", name)

    assert load(folder).tenant(name).id == name


@pytest.mark.parametrize("field", ["organization: mycompany", "name: Acme GmbH", "owner: data@acme.example"])
@pytest.mark.parametrize("text", ["\u2028::error::x", "\n::error::x", "\x1b[2J", "x\u202ey", "a\u200bb", "\0", "\x85"])
def test_text_that_does_not_print_is_refused_and_printed_spelled_out(folder, field, text):
    key, _, value = field.partition(": ")
    write(folder, value, value + text)

    found = problems(folder)

    assert any(f"{key}: " in line for line in found)
    assert all(A_LINE.match(line) and line.isprintable() for line in found)


@pytest.mark.parametrize(
    "owner",
    [
        "{{resolve:ssm:/lake/chat}}@evil.example",
        "${Token[AWS.AccountId.3]}@evil.example",
        "a@evil.example,b@evil.example",
        "a@b@evil.example",
        "data@acme..example",
        "@acme.example",
        "data@",
        "data@acme.example\0",
        "d\u0430ta@acme.example",
    ],
)
def test_an_address_that_a_template_or_a_mail_would_read_otherwise_is_refused(folder, owner):
    write(folder, "data@acme.example", owner)

    assert any(line.startswith("tenants/tenants.yaml:5: tenants[acme].owner: ") for line in problems(folder))


@pytest.mark.parametrize("owner", ["data+lake@acme.example", "o'neil@acme.co.example", "a@localhost"])
def test_addresses_as_people_have_them_are_taken(folder, owner):
    write(folder, "data@acme.example", owner)

    assert load(folder).tenant("acme").owner == owner


def test_a_forged_line_of_a_log_stays_inside_its_own():
    told = Problem("t.yaml", 3, "tenants[x\n::error::y]", "z\r\n::stop-commands::\u2028a\x1b[2J")

    assert str(told) == r"t.yaml:3: tenants[x\n::error::y]: z\r\n::stop-commands::\u2028a\x1b[2J"


def test_a_long_value_is_told_by_its_ends():
    told = str(Problem("t.yaml", 3, "", f"'{'x' * 900_000}': expected less"))

    assert len(told) < 500
    assert told.endswith("x': expected less")


BOMBS = {
    "flat list": "tenants: [" + "x," * 150_000 + "]",
    "open list": "[" * 990_000,
    "open mapping": "{a: " * 240_000,
    "dashes": "- " * 490_000,
    "question marks": "? " * 490_000,
    "anchors": "- &a x\n" * 140_000,
    "aliases": "a: &a [x]\nb: [" + "*a," * 320_000 + "]",
    "billion laughs": "a: &a [x,x]\n" + "".join(f"b{n}: &b{n} [*a,*a]\n" for n in range(40_000)),
    "the same key": "a: 1\n" * 190_000,
    "unknown keys": "".join(f"k{n}: 1\n" for n in range(90_000)),
    "one long key": "? " + "k" * 990_000 + "\n: 1\n",
    "one long value": "organization: " + "x" * 980_000,
    "comments": "#\n" * 490_000,
    "second documents": "---\n" * 240_000,
    "tags": "- !!python/object/apply:os.system x\n" * 27_000,
    "escapes": 'a: "' + "\\u202e" * 160_000 + '"',
    "tiers": "tiers: {" + ",".join(f"t{n}: {{}}" for n in range(60_000)) + "}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_ends_in_problems_and_in_no_more_than_somebody_reads(folder, text):
    assert len(text) <= 1_000_000
    (folder / "tenants.yaml").write_text(text)

    found = problems(folder)

    assert len(found) <= 2 * MAX_PROBLEMS + 1  # of those that a file may have, unknown keys are counted apart
    assert all(A_LINE.match(line) for line in found)


def test_a_file_of_ten_thousand_tenants_is_not_taken_for_a_bomb():
    lines = "".join(f"  - {{id: t{n}, name: T, owner: a@b.example, datasets: [o]}}\n" for n in range(10_000))

    assert len(parse(f"organization: x\ntenants:\n{lines}".encode(), "t.yaml").value["tenants"]) == 10_000


def test_more_values_than_that_are_refused_where_they_become_too_many():
    with pytest.raises(RegistryError) as raised:
        parse(b"- x\n" * (MAX_VALUES + 10), "t.yaml")

    assert str(raised.value) == f"t.yaml:{MAX_VALUES}: holds more than 200,000 keys and values"


AS_NUMBERS = [
    "1_000",
    "0x10",
    "0o17",
    "010",
    "1:30",
    "1e3",
    "2.0",
    "+5",
    " 5",
    "٣",
    "5\u200b",
    "no",
    "2024-01-01",
    ".5",
]


@pytest.mark.parametrize("text", AS_NUMBERS)
@pytest.mark.parametrize("key", ["workers", "max_concurrent_runs"])
def test_what_readers_of_yaml_take_for_different_numbers_is_none(folder, key, text):
    write(folder, "mycompany", "mycompany")
    with (folder / "tenants.yaml").open("a") as file:
        file.write(f"tiers: {{standard: {{{key}: {json.dumps(text)}}}}}\n")

    (said,) = problems(folder)

    assert said.startswith(f"tenants/tenants.yaml:7: tiers.standard.{key}: ")
    assert said.endswith("expected digits without a leading zero, such as 5000")


@pytest.mark.parametrize("text", [*AS_NUMBERS, "1_0 days", "١ days", "1e2 days", "0x1 days"])
def test_the_same_holds_for_days_and_files_in_a_batch(folder, text):
    value = json.dumps(text)
    (folder / "tenants.yaml").write_text(
        TENANTS.replace("[orders]", f"[{{name: orders, max_files: {value}}}]\n    retention: {{raw: {value}}}")
    )

    batch, days = problems(folder)
    assert batch.startswith("tenants/tenants.yaml:6: tenants[acme].datasets[orders].max_files: ")
    assert days.startswith("tenants/tenants.yaml:7: tenants[acme].retention.raw: ")


def test_no_is_a_text_where_a_text_is_wanted_and_false_where_a_truth_value_is(folder):
    (folder / "tenants.yaml").write_text(TENANTS.replace("Acme GmbH", "no"))
    environments = ENVIRONMENTS.replace("region: us-east-1", "region: us-east-1, termination_protection: no")
    (folder / "environments.yaml").write_text(environments)

    registry = load(folder)

    assert registry.tenant("acme").name == "no"
    assert registry.environment("local").termination_protection is False


def with_custom(name, value):
    line = f"customProperties: [{{property: {name}, value: {json.dumps(value)}}}]\n"
    return ORDERS.replace("schema:\n", line + "schema:\n")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '{{resolve:secretsmanager:prod/db:SecretString:password}}'",
        "SELECT '{{res{table}olve:ssm:x}}'",
        "SELECT '${Token[AWS.AccountId.3]}'",
        "SELECT '${AWS::AccountId}'",
    ],
)
@pytest.mark.parametrize("part", ["sql", "description"])
def test_a_query_that_a_deployment_would_fill_with_a_secret_is_refused(folder, part, sql):
    query = {"name": "spy", "sql": "SELECT 1 FROM {table}", "description": "x"} | {part: sql}
    (folder / "contracts" / "orders.yaml").write_text(with_custom("lake.queries", [query]))

    (said,) = problems(folder)

    assert said.startswith("tenants/contracts/orders.yaml:6: customProperties[lake.queries].value: spy: ")
    assert said.endswith("is not allowed; a deployment would read it as a reference")


@pytest.mark.parametrize("name", ["x; DROP TABLE y", 'x" --', "x`", "X", "x y", "x\n", "../x", "${x}", "", "ö", "1x"])
@pytest.mark.parametrize("kind", ["dataset", "query", "column"])
def test_sql_in_a_name_is_refused(folder, kind, name):
    if kind == "dataset":
        write(folder, "orders", name)
    elif kind == "query":
        text = with_custom("lake.queries", [{"name": name, "sql": "SELECT 1"}])
        (folder / "contracts" / "orders.yaml").write_text(text)
    else:
        (folder / "contracts" / "orders.yaml").write_text(ORDERS.replace("name: amount", f"name: {json.dumps(name)}"))

    found = problems(folder)

    assert all(A_LINE.match(line) and line.isprintable() for line in found)


@pytest.mark.parametrize("name", ["order", "select", "table", "values", "union", "with", "null", "true", "group"])
def test_a_dataset_named_as_a_word_of_sql_is_refused(folder, name):
    (folder / "tenants.yaml").write_text(TENANTS.replace("[orders]", f'["{name}"]'))

    assert any(f"'{name}' is no dataset: it is a word of SQL" in line for line in problems(folder))


@pytest.mark.parametrize(
    "pattern",
    ["raw/**/**/**/**/x.csv", "raw/*a*a*a*a*b", "raw/**/*_*_*_*_*.csv", "raw/**/a*b*/**/c*d*/**/x", "raw/" + "*" * 50],
)
def test_a_pattern_that_a_key_could_keep_busy_for_minutes_is_refused(folder, pattern):
    (folder / "contracts" / "orders.yaml").write_text(with_custom("lake.files", pattern))

    (said,) = problems(folder)

    assert said.endswith("too many wildcards; expected 3 of ** and further * in a name") or "** stands alone" in said


LONGEST_KEYS = [f"raw/{part * 1020}"[:1024] for part in ("/", "a", "a/", "aa/", "a_", "x.csv/", "ab/ab_")]


@pytest.mark.parametrize(
    "pattern",
    ["raw/**/network_*_transactions_*.csv", "raw/*a*a*b", "raw/**/*_*_*.csv", "raw/**/a/**/a/**/b", "raw/**/*a*/**/b"],
)
@pytest.mark.timeout(100)
def test_a_pattern_that_is_taken_is_matched_in_time_against_the_worst_of_keys(folder, pattern):
    from lineage.routing import matches

    (folder / "contracts" / "orders.yaml").write_text(with_custom("lake.files", pattern))
    load(folder)

    assert [key for key in LONGEST_KEYS if matches(key, pattern)] == []


OF_A_COLUMN = [
    ("number", "minimum", "1e999999999"),
    ("number", "minimum", "1e-999999999"),
    ("number", "minimum", "1_000"),
    ("number", "minimum", "NaN"),
    ("number", "maximum", "Infinity"),
    ("number", "maximum", "٣"),
    ("integer", "maximum", "1_000"),
    ("integer", "maximum", "٣"),
    ("integer", "maximum", "9" * 5_000),
    ("integer", "minimum", "0x10"),
    ("date", "minimum", "2024-02-30"),
    ("string", "minLength", "1_000"),
    ("string", "minLength", "9" * 5_000),
    ("string", "pattern", "a{99999999999}"),
    ("string", "pattern", "x" * 100_000),
]


@pytest.mark.parametrize(("kind", "option", "bound"), OF_A_COLUMN, ids=lambda value: value[:12])
@pytest.mark.timeout(100)
def test_a_bound_that_is_no_plain_value_is_a_problem_and_not_a_gigabyte(folder, kind, option, bound):
    extra = f"logicalType: {kind}, logicalTypeOptions: {{{option}: {json.dumps(bound)}}}}}"
    text = ORDERS.replace('logicalType: number, physicalType: "decimal(18,2)"}', extra)
    (folder / "contracts" / "orders.yaml").write_text(text)
    (said,) = problems(folder)

    assert said.startswith(
        f"tenants/contracts/orders.yaml:10: schema[orders].properties[amount].logicalTypeOptions.{option}"
    )
    assert len(said) < 1_000


@pytest.mark.parametrize(
    "text", ["(" * 200_000, "a," * 400_000, "(a," * 100_000 + ")->" * 100_000, "'" + "\\'" * 200_000]
)
def test_a_long_expression_is_refused_by_its_length(folder, text):
    logic = f"transformLogic: {json.dumps(text)}"
    content = ORDERS.replace("properties:\n", f"properties:\n      - {{name: x, logicalType: string, {logic}}}\n")
    (folder / "contracts" / "orders.yaml").write_text(content)

    assert problems(folder) == [
        "tenants/contracts/orders.yaml:9: schema[orders].properties[x].transformLogic: is longer than 10,000 characters"
    ]


# -- anything in the place of anything ---------------------------------------------------------------------------------

HOSTILE = [
    "no", "0123", "1_000", "2024-01-01", "1:30", "0x1F", "~", "", "a\nb", "\u202e", "\u0430cme", "..", "*", "**", "${x}",
    "{{resolve:ssm:x}}", "x" * 3_000, "1e999999999", "-1e-999999999", "NaN", "Infinity", "٣", "(" * 300 + ")" * 300,
    "a{99999999999}", "(?P<a>b)", "[", "true", "null", "9" * 5_000, "cron(* * * * ? *)", "rate(0 days)",
    f"rate({'9' * 5_000} days)", "decimal(38,38)", "struct<a:int>", "year", "_src", "`", "'", "\\", "9" * 12 + " weeks",
    [], {}, None, [[]], {"a": [{}]}, ["x"], {"": "1"}, {"name": "x"}, [None], {"<<": {"a": "b"}},
]  # fmt: skip
WHOLE_CONTRACT = {
    "apiVersion": "v3.1.0", "kind": "DataContract", "id": "orders", "version": "1.0.0", "status": "active",
    "description": {"purpose": "x"},
    "customProperties": [
        {"property": name, "value": value}
        for name, value in {
            "lake.files": ["raw/a/*.csv"], "lake.partitionBy": "day", "lake.format": "iceberg",
            "lake.versionColumn": "at", "lake.dateFormat": "dd.MM.yyyy", "lake.timestampFormat": "dd.MM.yyyy HH:mm",
            "lake.csv.delimiter": ";", "lake.csv.quote": "'", "lake.csv.encoding": "UTF-8",
            "lake.csv.nullValues": ["", "x"],
            "lake.queries": [{"name": "q", "sql": "SELECT 1 FROM {table}", "description": "d"}],
        }.items()
    ],
    "schema": [{
        "name": "orders",
        "quality": [{"type": "custom", "engine": "lake", "name": "r", "implementation": "a > 1"}],
        "properties": [
            {"name": "id", "logicalType": "string", "primaryKey": "true", "logicalTypeOptions": {"pattern": "a+"}},
            {"name": "a", "logicalType": "integer", "logicalTypeOptions": {"multipleOf": "2"}, "enum": [{"value": "2"}]},
            {"name": "n", "logicalType": "number", "physicalType": "decimal(8,2)", "quality": [
                {"metric": "invalidValues", "mustBe": "0", "arguments": {"validValues": ["1"], "pattern": "x"}}]},
            {"name": "day", "logicalType": "date", "logicalTypeOptions": {"format": "yyyyMMdd", "minimum": "2024-01-01"}},
            {"name": "at", "physicalName": "At", "logicalType": "timestamp"},
            {"name": "o", "logicalType": "object", "properties": [
                {"name": "x", "logicalType": "string", "logicalTypeOptions": {"minLength": "1"}},
                {"name": "l", "logicalType": "array", "items": {"logicalType": "date"}}]},
            {"name": "m", "logicalType": "map", "map": {"value": {"logicalType": "integer"}}},
            {"name": "net", "logicalType": "number", "transformLogic": "n * 0.8"},
        ],
    }],
}  # fmt: skip
WHOLE_TENANTS = {
    "organization": "mycompany",
    "defaults": {"tier": "standard", "retention": {"raw": "90 days"}},
    "tiers": {"standard": {"workers": "2", "worker_type": "G.1X", "query_bytes_limit": "100 GB"}},
    "tenants": [{
        "id": "acme", "name": "Acme", "owner": "a@b.example", "tier": "standard", "state": "active",
        "retention": {"raw": "1 week"},
        "datasets": [
            {"name": "orders", "max_wait": "1 hour", "max_files": "5", "max_bytes": "1 MB"},
        ],
    }],
}  # fmt: skip
WHOLE_ENVIRONMENTS = {
    "environments": {
        "local": {
            "account": "000000000000", "region": "us-east-1", "removal_policy": "retain", "max_wait": "0",
            "termination_protection": "true", "notification": "a@b.example",
            "webhook": {"parameter": "/x", "format": "slack"},
        }
    }
}  # fmt: skip
FILES = {
    "contracts/orders.yaml": WHOLE_CONTRACT,
    "tenants.yaml": WHOLE_TENANTS,
    "environments.yaml": WHOLE_ENVIRONMENTS,
}


def places(value, path=()):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def changed(value, dice):
    """`value` with something hostile in the place of a value or key, or with something left out or given twice."""
    value = deepcopy(value)
    *path, last = dice.choice(list(places(value)))
    parent = value
    for part in path:
        parent = parent[part]
    what = dice.random()
    if what < 0.15 and isinstance(parent, dict):
        parent[str(dice.choice(HOSTILE))] = parent.pop(last)
    elif what < 0.25 and isinstance(parent, dict):
        del parent[last]
    elif what < 0.35 and isinstance(parent, list):
        parent.append(deepcopy(parent[last]))
    else:
        parent[last] = deepcopy(dice.choice(HOSTILE))
    return value


def test_the_whole_files_are_fine_as_long_as_nobody_changes_them(folder):
    for name, value in FILES.items():
        (folder / name).write_text(json.dumps(value))

    assert load(folder).contract("acme", "orders").plan().all_columns[-1].name == "net"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_anything_in_the_place_of_anything_is_taken_or_told_with_file_and_line(folder, seed):
    dice = random.Random(seed)
    for name, value in FILES.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False))
    name = dice.choice(["contracts/orders.yaml", "contracts/orders.yaml", "tenants.yaml", "environments.yaml"])
    (folder / name).write_text(json.dumps(changed(FILES[name], dice), ensure_ascii=False))

    try:
        load(folder)
    except RegistryError as error:
        lines = str(error).split("\n")
    else:
        return
    assert all(A_LINE.match(line) and line.isprintable() and len(line) < 1_000 for line in lines), lines


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(":-?[]{}&*!|>'\"%@`#,~<\n\t ax0\u2028\u202e\ufeff", max_size=60).map(str.encode),
    )
)
def test_any_bytes_are_a_document_or_told_with_file_and_line(raw):
    try:
        parse(raw, "t.yaml")
    except RegistryError as error:
        lines = str(error).split("\n")
    else:
        return
    assert all(re.match(r"t\.yaml:[0-9]+: ", line) and line.isprintable() for line in lines), lines


def test_a_contract_that_is_a_link_to_somewhere_else_shows_nothing_of_it(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("aws_secret_access_key = wJalr-not-one\n[default\n")
    path = folder / "contracts" / "link.yaml"
    path.symlink_to(secret)

    found, told = read_contract(path, "link.yaml")

    assert found is None
    assert "wJalr" not in " ".join(map(str, told))
