import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants.cells import unfit_canaries
from tenants.errors import NotFound, RegistryError
from tenants.registry import load

CELLS = """\
  prod:
    account: "777788889999"
    region: eu-central-1
    notification: platform@mycompany.example
    cells:
      b: {account: "777788889999", region: eu-west-1}
      c: {account: "888899990000", region: eu-central-1}
"""
GLOBEX = """\
  - id: globex
    name: Globex
    owner: it@globex.example
    cells: {prod: b}
    datasets: [orders]
"""
CANARY = """\
  - id: canary
    name: The platform's own
    owner: platform@mycompany.example
    cells: {prod: b}
    datasets: [orders, canary]
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


@pytest.fixture
def spread(folder):
    """A registry whose environment prod has three cells, with acme in the first and globex in b."""
    (folder / "environments.yaml").write_text((folder / "environments.yaml").read_text() + CELLS)
    (folder / "tenants.yaml").write_text((folder / "tenants.yaml").read_text() + GLOBEX)
    return folder


def test_an_environment_without_cells_is_its_only_one(folder):
    registry = load(folder)

    (cell,) = registry.cells("dev")
    assert cell == registry.environment("dev")
    assert (cell.cell, cell.cell_name, cell.place) == (None, "first", "dev")
    assert registry.cell_of("acme", "dev") == cell
    assert registry.tenants_in(cell) == registry.tenants


def test_further_cells_have_an_account_and_a_region_and_the_policies_of_their_environment(spread):
    first, b, c = load(spread).cells("prod")

    assert [cell.place for cell in (first, b, c)] == ["prod", "prod/b", "prod/c"]
    assert [cell.region for cell in (first, b, c)] == ["eu-central-1", "eu-west-1", "eu-central-1"]
    assert [cell.account for cell in (first, b, c)] == ["777788889999", "777788889999", "888899990000"]
    assert {cell.notification for cell in (first, b, c)} == {"platform@mycompany.example"}
    assert all(cell.termination_protection for cell in (first, b, c))


def test_a_tenant_is_in_the_cell_that_its_lines_name_and_else_in_the_first(spread):
    registry = load(spread)

    assert registry.cell_of("globex", "prod").place == "prod/b"
    assert registry.cell_of("globex", "dev").place == "dev"
    assert registry.cell_of("acme", "prod").place == "prod"
    assert [[tenant.id for tenant in registry.tenants_in(cell)] for cell in registry.cells("prod")] == [
        ["acme"],
        ["globex"],
        [],
    ]


def test_the_first_cell_may_be_named_too(spread):
    edit(spread / "tenants.yaml", ("cells: {prod: b}", "cells: {prod: first, dev: first}"))
    registry = load(spread)

    assert registry.cell_of("globex", "prod") == registry.cell("prod/first") == registry.cell("prod")
    assert registry.tenant("globex").cells == {}


def test_names_of_a_further_cell_end_in_its_name_and_those_of_tenants_do_not(spread):
    registry = load(spread)

    assert registry.platform_names("prod/b").ledger == "mycompany-prod-ledger-b"
    assert registry.platform_names("prod").ledger == "mycompany-prod-ledger"
    assert registry.names("globex", "prod").bucket == "mycompany-globex-prod-datalake"


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([None, "first", "b", "c"]), min_size=1, max_size=8))
def test_every_tenant_is_in_one_cell_and_every_cell_knows_its_tenants(spread, placed):
    lines = "".join(
        f"  - {{id: t{number}xx, name: T, owner: t@t.example, "
        f"{f'cells: {{prod: {cell}}}, ' if cell else ''}datasets: [orders]}}\n"
        for number, cell in enumerate(placed)
    )
    registry = load(spread, tenants=f"organization: mycompany\ntenants:\n{lines}")

    found = {cell.cell_name: registry.tenants_in(cell) for cell in registry.cells("prod")}

    assert {tenant.id: name for name, tenants in found.items() for tenant in tenants} == {
        f"t{number}xx": cell or "first" for number, cell in enumerate(placed)
    }
    assert sum(map(len, found.values())) == len(placed)
    for name, tenants in found.items():
        assert {registry.cell_of(tenant.id, "prod").cell_name for tenant in tenants} <= {name}


def test_a_cell_that_is_not_there_is_answered_with_those_that_are(spread):
    with pytest.raises(NotFound, match="no cell of environment prod 'd'; known: first, b, c"):
        load(spread).cell("prod/d")
    with pytest.raises(NotFound, match="no environment 'pord'"):
        load(spread).cell("pord/b")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "region: eu-west-1",
            "region: eu-central-1",
            "9: environments.prod.cells.b: is account 777788889999 in eu-central-1, as cell 'first' is; no two cells",
        ),
        (
            'c: {account: "888899990000", region: eu-central-1}',
            'c: {account: "777788889999", region: eu-west-1}',
            "10: environments.prod.cells.c: is account 777788889999 in eu-west-1, as cell 'b' is; no two cells",
        ),
        ("      b:", "      dead:", "'dead' is reserved: choose another name for the cell"),
        ("      b:", "      first:", "'first' is reserved: choose another name for the cell"),
        ("      b:", "      tenant:", "'tenant' is reserved: choose another name for the cell"),
        ("      b:", "      cell-b:", "'cell-b' is no cell: expected 1 to 8 lower-case letters and digits"),
        ("      b:", "      dev:", "9: environments.prod.cells.dev: environment 'dev' has this name: choose another"),
        ("region: eu-west-1}", "regoin: eu-west-1}", "unknown key; did you mean 'region'?"),
        ('{account: "777788889999", region: eu-west-1}', "eu-west-1", "cells.b: "),
    ],
)  # fmt: skip
def test_cells_that_cannot_be_are_refused_with_their_line(spread, old, new, said):
    edit(spread / "environments.yaml", (old, new))

    assert [line for line in problems(spread) if line.startswith("tenants/environments.yaml:") and said in line]


def test_two_environments_may_share_an_account_and_region(spread):
    edit(spread / "environments.yaml", ('b: {account: "777788889999", region: eu-west-1}', 'b: {account: "111122223333", region: eu-central-1}'))  # fmt: skip

    assert load(spread).cell("prod/b").account == load(spread).environment("dev").account


def test_this_machine_has_no_cells(folder):
    edit(
        folder / "environments.yaml",
        ("max_wait: 0}", 'max_wait: 0, cells: {b: {account: "000000000000", region: us-east-2}}}'),
    )

    assert "local is this machine and has no cells: take them out" in "".join(problems(folder))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("{prod: d}", "10: tenants[globex].cells.prod: no cell 'd' in environment prod; known: b, c, first"),
        ("{pord: b}", "10: tenants[globex].cells.pord: no environment 'pord'; did you mean 'prod'?"),
        ("{dev: b}", "10: tenants[globex].cells.dev: environment dev has no cells: take this line out, or write"),
        ("[b]", "10: tenants[globex].cells: "),
    ],
)
def test_a_placement_that_leads_nowhere_is_refused_with_its_line(spread, cells, said):
    edit(spread / "tenants.yaml", ("{prod: b}", cells))

    (told,) = problems(spread)
    assert told.startswith(f"tenants/tenants.yaml:{said}")


def test_what_is_wrong_in_one_file_hides_nothing_in_the_other(spread):
    edit(spread / "tenants.yaml", ("{prod: b}", "{prod: d}"))
    edit(spread / "environments.yaml", ("region: eu-west-1", "region: eu-central-1"))

    assert [line.partition(":")[0] for line in problems(spread)] == [
        "tenants/environments.yaml",
        "tenants/tenants.yaml",
    ]


# -- canaries ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_canary(spread):
    contract = (spread / "contracts" / "orders.yaml").read_text().replace("orders", "canary")
    (spread / "contracts" / "canary.yaml").write_text(contract)
    (spread / "tenants.yaml").write_text((spread / "tenants.yaml").read_text() + CANARY)
    edit(spread / "environments.yaml", ("region: eu-west-1}", "region: eu-west-1, canary: canary}"))
    return spread


def test_every_cell_has_a_canary_of_its_own_or_none(with_canary):
    assert [cell.canary for cell in load(with_canary).cells("prod")] == [None, "canary", None]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: canary", "id: sparrow", "no tenant 'canary'; known: acme, globex, sparrow"),
        ("cells: {prod: b}\n    datasets: [orders, canary]", "datasets: [orders, canary]",
         "tenant canary is in cell first of prod, not in b: name a tenant of this one"),
        ("datasets: [orders, canary]", "state: suspended\n    datasets: [orders, canary]", "tenant canary is suspended"),
        ("[orders, canary]", "[orders]", "tenant canary has no dataset 'canary' with contract 'canary'"),
        ("[orders, canary]", "[{name: canary, contract: orders}]", "has no dataset 'canary' with contract 'canary'"),
    ],
)  # fmt: skip
def test_a_canary_that_no_file_comes_through_is_refused(with_canary, old, new, said):
    edit(with_canary / "tenants.yaml", (old, new))

    (told,) = problems(with_canary)
    assert told.startswith("tenants/environments.yaml:9: environments.prod.cells.b.canary: ")
    assert said in told


def test_the_first_cells_canary_stands_beside_its_account(with_canary):
    registry = load(with_canary)
    prod = registry.environment("prod").model_copy(update={"canary": "globex"})

    ((place, reason),) = unfit_canaries([prod], {tenant.id: tenant for tenant in registry.tenants})

    assert place == ("environments", "prod", "canary")
    assert reason == "tenant globex is in cell b of prod, not in first: name a tenant of this one"


# -- what else an environment says of itself -----------------------------------------------------------------------------


def test_an_environment_caps_how_long_tenants_keep_their_objects(folder):
    edit(folder / "environments.yaml", ("region: eu-central-1", "region: eu-central-1, retention: {raw: 7 days, processed: 2 weeks}"))  # fmt: skip
    registry = load(folder)
    acme = registry.tenant("acme")

    here = registry.environment("dev").retention_of(acme)

    assert (here.raw, here.processed, here.quarantine) == (7, 14, 30)
    assert registry.environment("local").retention_of(acme) == acme.retention


def test_a_ceiling_makes_nothing_longer(folder):
    ceilings = "retention: {raw: 91 days, processed: 366 days, quarantine: 31 days}"
    edit(folder / "environments.yaml", ("region: eu-central-1", f"region: eu-central-1, {ceilings}"))
    registry = load(folder)

    assert registry.environment("dev").retention_of(registry.tenant("acme")) == registry.tenant("acme").retention


@pytest.mark.parametrize("retention", ["{processed: 30 days}", "{raw: 31 days, processed: 30 days}"])
def test_a_ceiling_on_processed_needs_one_on_raw_that_is_not_above_it(folder, retention):
    edit(folder / "environments.yaml", ("region: eu-central-1", f"region: eu-central-1, retention: {retention}"))

    (told,) = problems(folder)
    assert told.startswith("tenants/environments.yaml:3: environments.dev.retention: processed is kept 30 days at most")


def test_an_environment_may_have_an_organization_of_its_own(folder):
    edit(folder / "environments.yaml", ("region: eu-central-1", "region: eu-central-1, organization: mycodev"))
    registry = load(folder)

    assert registry.organization_of("dev") == "mycodev"
    assert registry.organization_of("local") == "mycompany"
    assert registry.names("acme", "dev").bucket == "mycodev-acme-dev-datalake"
    assert registry.platform_names("dev").stack == "mycodev-dev-platform"
    assert registry.names("acme", "local").bucket == "mycompany-acme-local-datalake"
