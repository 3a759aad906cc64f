import re
from pathlib import Path

import pytest

from tenants.errors import NotFound, RegistryError
from tenants.registry import load

REPOSITORY = Path(__file__).resolve().parents[2] / "tenants"

TWO_MORE = """\
  - id: skyline
    name: Skyline Analytics
    owner: ops@skyline.example
    datasets:
      - name: orders
        max_wait: 1 hour
        max_files: 10
        max_bytes: 1 MB
      - {name: returns, contract: orders}
"""


def edit(path, *changes):
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def problems(folder):
    with pytest.raises(RegistryError) as raised:
        load(folder)
    return str(raised.value).splitlines()


def test_a_tenant_of_four_lines_gets_every_default(folder):
    tenant = load(folder).tenant("acme")

    assert (tenant.tier, tenant.state, tenant.workers, tenant.worker_type) == ("standard", "active", 2, "G.1X")
    assert (tenant.max_concurrent_runs, tenant.query_bytes_limit) == (2, 100_000_000_000)
    assert (tenant.retention.raw, tenant.retention.processed, tenant.retention.quarantine) == (90, 365, 30)
    (orders,) = tenant.datasets
    assert (orders.name, orders.contract, orders.max_wait) == ("orders", "orders", 900)
    assert (orders.max_files, orders.max_bytes) == (5000, 1_000_000_000)


def test_a_dataset_may_say_how_it_is_batched_and_whose_contract_it_has(folder):
    (folder / "tenants.yaml").write_text((folder / "tenants.yaml").read_text() + TWO_MORE)

    orders, returns = load(folder).tenant("skyline").datasets

    assert (orders.max_wait, orders.max_files, orders.max_bytes) == (3600, 10, 1_000_000)
    assert (returns.name, returns.contract) == ("returns", "orders")


def test_tier_and_retention_come_from_where_they_are_nearest(folder):
    edit(
        folder / "tenants.yaml",
        ("tenants:\n", "tiers: {premium: {workers: 8, query_bytes_limit: 1 TB}}\ntenants:\n"),
        ("tiers:", "defaults: {tier: premium, retention: {raw: 10 days, processed: 20 days}}\ntiers:"),
        ("    datasets", "    retention: {raw: 1 week}\n    datasets"),
    )  # fmt: skip

    tenant = load(folder).tenant("acme")

    assert (tenant.tier, tenant.workers, tenant.worker_type, tenant.query_bytes_limit) == ("premium", 8, "G.1X", 10**12)
    assert (tenant.retention.raw, tenant.retention.processed, tenant.retention.quarantine) == (7, 20, 30)


def test_an_environment_puts_a_ceiling_on_waiting(folder):
    registry = load(folder)
    (orders,) = registry.tenant("acme").datasets

    assert registry.environment("local").max_wait_of(orders) == 0
    assert registry.environment("dev").max_wait_of(orders) == 900


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("    datasets", "    retention: {processed: 30 days}\n    datasets", 6),
        ("    datasets", "    retention: {raw: 700 days}\n    datasets", 6),
        ("tenants:", "defaults: {retention: {processed: 30 days}}\ntenants:", 4),
    ],
)
def test_what_says_that_a_raw_file_is_done_stays_as_long_as_the_file(folder, old, new, line):
    edit(folder / "tenants.yaml", (old, new))

    (told,) = problems(folder)
    assert told.startswith(f"tenants/tenants.yaml:{line}: tenants[acme].retention: processed is kept ")
    assert "set processed to" in told


def test_an_account_keeps_its_leading_zeros_without_quotes(folder):
    edit(folder / "environments.yaml", ('"000000000000"', "000000000000"))

    assert load(folder).environment("local").account == "000000000000"


def test_what_is_not_there_is_answered_with_what_is(folder):
    registry = load(folder)

    with pytest.raises(NotFound, match="no tenant 'acne'; known: acme"):
        registry.tenant("acne")
    with pytest.raises(NotFound, match="no environment 'prod'; known: local, dev"):
        registry.environment("prod")
    with pytest.raises(NotFound, match="no dataset of acme 'order'; known: orders"):
        registry.contract("acme", "order")


def test_names_come_from_the_registry(folder):
    registry = load(folder)

    assert registry.names("acme", "dev").bucket == "mycompany-acme-dev-datalake"
    assert registry.platform_names("dev").ledger == "mycompany-dev-ledger"


def test_a_loaded_tenant_cannot_be_changed(folder):
    tenant = load(folder).tenant("acme")

    with pytest.raises(ValueError, match="frozen"):
        tenant.workers = 100


def test_an_unknown_key_is_told_with_the_nearest_known_one(folder):
    edit(folder / "tenants.yaml", ("owner:", "onwer:"))

    assert problems(folder) == [
        "tenants/tenants.yaml:3: tenants[acme].owner: is missing",
        "tenants/tenants.yaml:5: tenants[acme].onwer: unknown key; did you mean 'owner'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("mycompany", "my-company", "1: organization: 'my-company' is no organization"),
        ("id: acme", "id: Acme", "3: tenants[Acme].id: 'Acme' is no tenant id"),
        ("id: acme", "id: shared", "3: tenants[shared].id: 'shared' is reserved"),
        ("id: acme", "id: acme-dev", "3: tenants[acme-dev].id: 'acme-dev' has a part 'dev' that begins with"),
        ("id: acme", "id: 0123", "3: tenants[0123].id: '0123' is no tenant id"),
        ("id: acme", "id: no", "3: tenants[no].id: 'no' is no tenant id"),
        ("data@acme.example", "Jane Doe", "5: tenants[acme].owner: 'Jane Doe': string should match"),
        ("name: Acme GmbH", "name:", "4: tenants[acme].name: has no value"),
        ("    datasets: [orders]\n", "", "3: tenants[acme].datasets: is missing"),
        ("[orders]", "[]", "6: tenants[acme].datasets: tuple should have at least 1 item"),
        ("[orders]", "[orders, orders]", "6: tenants[acme].datasets[1]: dataset 'orders' is given twice"),
        ("[orders]", "[order]", "6: tenants[acme].datasets[0]: no contract contracts/order.yaml; did you mean 'orders'?"),
        ("[orders]", "[{name: orders, max_wait: soon}]", "6: tenants[acme].datasets[orders].max_wait: 'soon' is no duration"),
        ("[orders]", "[{name: orders, max_file: 1}]", "6: tenants[acme].datasets[orders].max_file: unknown key; did you"),
        ("[orders]", "[{name: orders, max_files: 0}]", "6: tenants[acme].datasets[orders].max_files: 0: input should be"),
        ("[orders]", "[orders_quarantine]", "6: tenants[acme].datasets[0]: 'orders_quarantine' is no dataset"),
        ("[orders]", "{orders: 1}", "6: tenants[acme].datasets: input should be a valid tuple"),
        ("    datasets", "    tier: premum\n    datasets", "6: tenants[acme].tier: no tier 'premum'; known: standard"),
        ("    datasets", "    state: paused\n    datasets", "6: tenants[acme].state: 'paused': input should be 'active'"),
        ("tenants:", "defaults: {tier: gold}\ntenants:", "2: defaults.tier: no tier 'gold'; known: standard"),
        ("tenants:", "tiers: {standard: {workers: 1}}\ntenants:", "2: tiers.standard.workers: 1: input should be"),
        ("tenants:", "tiers: {standard: {query_bytes_limit: 9 MB}}\ntenants:", "2: tiers.standard.query_bytes_limit"),
        ("tenants:", "tiers: {standard: {worker_type: G.3X}}\ntenants:", "2: tiers.standard.worker_type: 'G.3X'"),
        ("    datasets", "    retention: {raw: 36 hours}\n    datasets", "6: tenants[acme].retention.raw: '36 hours' is no number"),
    ],
)  # fmt: skip
def test_each_mistake_in_tenants_yaml_is_told_with_its_line(folder, old, new, told):
    edit(folder / "tenants.yaml", (old, new))

    assert any(line.startswith(f"tenants/tenants.yaml:{told}") for line in problems(folder)), problems(folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  local:", "  Local-1:", "2: environments.Local-1: 'Local-1' is no environment"),
        ('"111122223333"', "1234", "3: environments.dev.account: '1234': string should match"),
        ("eu-central-1", "Frankfurt", "3: environments.dev.region: 'Frankfurt': string should match"),
        ("max_wait: 0", "max_wait: 5", "2: environments.local.max_wait: '5' is no duration"),
        ("max_wait: 0", "max_wiat: 0", "2: environments.local.max_wiat: unknown key; did you mean 'max_wait'?"),
        ("max_wait: 0", "removal_policy: destroy", "2: environments.local: removal_policy destroy needs"),
        (
            "max_wait: 0",
            "webhook: {parameter: chat, format: slack}",
            "2: environments.local.webhook.parameter: 'chat': string should match",
        ),
        (
            "max_wait: 0",
            "webhook: {parameter: /chat, format: irc}",
            "2: environments.local.webhook.format: 'irc': input should be 'slack' or 'teams'",
        ),
        ("max_wait: 0", "webhook: {format: slack}", "2: environments.local.webhook.parameter: is missing"),
    ],
)
def test_each_mistake_in_environments_yaml_is_told_with_its_line(folder, old, new, told):
    edit(folder / "environments.yaml", (old, new))

    assert any(line.startswith(f"tenants/environments.yaml:{told}") for line in problems(folder)), problems(folder)


def test_a_tenant_given_twice_is_told_with_both_lines(folder):
    text = (folder / "tenants.yaml").read_text()
    (folder / "tenants.yaml").write_text(text + text.partition("tenants:\n")[2])

    assert problems(folder) == [
        "tenants/tenants.yaml:7: tenants[acme].id: tenant 'acme' is given twice, first in line 3"
    ]


def test_two_datasets_of_a_tenant_cannot_take_the_same_files(folder):
    edit(
        folder / "contracts" / "orders.yaml",
        ("status: active\n", "status: active\ncustomProperties: [{property: lake.files, value: raw/x/**}]\n"),
    )
    edit(folder / "tenants.yaml", ("[orders]", "[orders, {name: returns, contract: orders}]"))

    assert problems(folder) == [
        "tenants/tenants.yaml:6: tenants[acme].datasets[returns]: takes the same files as 'orders': raw/x/**"
    ]


def test_all_problems_of_all_files_are_told_at_once_and_each_has_its_line(folder):
    edit(
        folder / "tenants.yaml",
        ("mycompany", "My"), ("owner:", "onwer:"), ("[orders]", "[orders, missing]\n    tier: gold"),
    )  # fmt: skip
    edit(folder / "environments.yaml", ("eu-central-1", "x"))
    edit(folder / "contracts" / "orders.yaml", ("status: active", "staus: active"), ("decimal(18,2)", "money"))

    lines = problems(folder)

    assert [line.partition(": ")[0] for line in lines] == [
        "tenants/contracts/orders.yaml:1",
        "tenants/contracts/orders.yaml:5",
        "tenants/contracts/orders.yaml:10",
        "tenants/environments.yaml:3",
        "tenants/tenants.yaml:1",
        "tenants/tenants.yaml:3",
        "tenants/tenants.yaml:5",
        "tenants/tenants.yaml:6",
        "tenants/tenants.yaml:7",
    ]


@pytest.mark.parametrize("name", ["tenants.yaml", "environments.yaml"])
def test_a_missing_file_is_told(folder, name):
    (folder / name).unlink()

    assert f"tenants/{name}:1: cannot be read: No such file or directory" in problems(folder)


@pytest.mark.parametrize("text", ["", "- a\n", "text\n"])
def test_a_file_that_is_no_mapping_is_told(folder, text):
    (folder / "tenants.yaml").write_text(text)

    assert problems(folder) == [
        "tenants/tenants.yaml:1: is no mapping; expected keys such as organization, defaults, tiers, tenants"
    ]


@pytest.mark.parametrize("junk", ["tenants: 7", "tenants: [7, [], {}]", "tiers: []", "defaults: x", "tenants: {a: 1}"])
def test_any_wrong_shape_is_a_problem_and_not_a_crash(folder, junk):
    (folder / "tenants.yaml").write_text(f"organization: mycompany\n{junk}\n")

    assert all(re.match(r"tenants/tenants\.yaml:\d+: ", line) for line in problems(folder))


def test_the_projects_own_registry_is_valid_and_says_what_readme_says():
    registry = load(REPOSITORY)

    assert registry.organization == "mycompany"
    assert [tenant.id for tenant in registry.tenants] == ["acme", "skyline", "bookshop"]
    assert list(registry.environments) == ["local", "dev", "hom", "prod"]
    assert {contract.id for contract in registry.contracts.values() if not contract.queries_of("x")} == {"canary"}
