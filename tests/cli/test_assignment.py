"""Which job of the deploy workflow takes whom."""

import pytest

from cli.assignment import assigned
from cli.connection import Connection
from cli.errors import WrongInput
from cli.orders import Order, Task
from deployment.errors import DeployError
from deployment.plans import Action, CellPlan, Change, Left, Plan
from deployment.portions import Portion
from tenants.registry import load
from tests.cli.test_deploy import ORDERS, PROJECT

CREATE, UPDATE, SUSPEND, RESUME, UNCHANGED = (
    Action.CREATE,
    Action.UPDATE,
    Action.SUSPEND,
    Action.RESUME,
    Action.UNCHANGED,
)
ENVIRONMENTS = """environments:
  dev: {account: "111122223333", region: eu-central-1}
  prod:
    account: "777788889999"
    region: eu-central-1
    canary: watch
    cells:
      b: {account: "777788889999", region: eu-west-1}
"""
HEAD = "organization: mycompany\ntenants:\n"
TENANT = "  - {{id: {0}, name: {0}, owner: it@{0}.example, datasets: [orders]{1}}}\n"
WATCH = "  - {id: watch, name: W, owner: it@acme.example, datasets: [{name: canary, max_wait: 0}]}\n"
IN_B = ", cells: {prod: b}"
SUSPENDED = ", state: suspended"
LEAVING = ", state: offboarding, offboarding: {requested_by: a@acme.example, export: none}"


@pytest.fixture
def cells(tmp_path):
    """Connections to the cells of an environment in which these tenants are, each with what its lines say besides."""
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "orders.yaml").write_text(ORDERS)
    canary = (PROJECT / "tenants/contracts/canary.yaml").read_text(encoding="utf-8")
    (tmp_path / "contracts" / "canary.yaml").write_text(canary)
    (tmp_path / "environments.yaml").write_text(ENVIRONMENTS)

    def connected(environment, **tenants):
        lines = "".join(TENANT.format(name, more) for name, more in tenants.items())
        (tmp_path / "tenants.yaml").write_text(HEAD + WATCH + lines)
        registry = load(tmp_path)
        return [Connection(registry, cell, tmp_path) for cell in registry.cells(environment)]

    return connected


def planned(*cells, left=()):
    """Cells by what is planned there: by tenant, `None` for the platform."""
    made = [
        CellPlan("p", "1", "r", tuple(Change(f"s-{name}", name, action) for name, action in cell.items()), left=left)
        for cell in cells
    ]
    return Plan("any", tuple(made))


def order(task, *tenants, environment="dev"):
    return Order(environment, task, tenants)


def test_a_plan_does_nothing(cells):
    found = assigned(order(Task.PLAN), cells("dev", acme=""), planned({None: CREATE, "acme": CREATE}))

    assert (found.first, found.portions) == ((), ())


def test_without_a_canary_one_of_those_that_change_goes_first(cells):
    plan = planned({None: CREATE, "watch": UNCHANGED, "acme": CREATE, "beta": UPDATE, "gamma": UPDATE})

    found = assigned(order(Task.DEPLOY), cells("dev", acme="", beta="", gamma=""), plan)

    assert found.first == (Portion("first-1", "dev", ("acme",)),)
    assert found.portions == (Portion("portion-1", "dev", ("beta", "gamma")),)


def test_the_canary_of_each_cell_goes_first_with_one_of_those_that_change(cells):
    connections = cells("prod", acme="", beta="", gamma=IN_B, delta=IN_B)
    plan = planned(
        {None: UPDATE, "watch": UNCHANGED, "acme": UPDATE, "beta": UPDATE},
        {None: UPDATE, "gamma": UPDATE, "delta": UPDATE},
    )

    found = assigned(order(Task.DEPLOY, environment="prod"), connections, plan)

    assert found.first == (
        Portion("first-1", "prod/first", ("watch", "acme")),
        Portion("first-2", "prod/b", ("gamma",)),
    )
    assert found.portions == (
        Portion("portion-1", "prod/first", ("beta",)),
        Portion("portion-2", "prod/b", ("delta",)),
    )


def test_a_canary_whose_way_does_not_change_is_left_in_peace(cells):
    plan = planned({None: UNCHANGED, "watch": UNCHANGED, "acme": UPDATE}, {})

    found = assigned(order(Task.DEPLOY, environment="prod"), cells("prod", acme=""), plan)

    assert found.first == (Portion("first-1", "prod/first", ("acme",)),)


def test_a_platform_that_changes_alone_is_brought_along_by_a_tenant_that_does_not(cells):
    found = assigned(
        order(Task.DEPLOY, "beta"), cells("dev", acme="", beta=""), planned({None: UPDATE, "beta": UNCHANGED})
    )

    assert (found.first, found.portions) == ((Portion("first-1", "dev", ("beta",)),), ())


def test_a_platform_without_tenants_is_deployed_by_itself(cells):
    found = assigned(order(Task.DEPLOY, environment="prod"), cells("prod"), planned({None: UNCHANGED}, {None: CREATE}))

    assert found.first == (Portion("first-1", "prod/b", ()),)


def test_a_cell_in_which_nobody_is_who_is_named_is_left_as_it_is(cells):
    connections = cells("prod", acme="", gamma=IN_B, delta=IN_B)

    found = assigned(
        order(Task.DEPLOY, "acme", environment="prod"),
        connections,
        planned({None: UPDATE, "acme": UPDATE}, {None: UPDATE}),
    )

    assert found.first == (Portion("first-1", "prod/first", ("acme",)),)
    assert found.portions == ()


@pytest.mark.parametrize(
    ("task", "expected"),
    [(Task.SUSPEND, ("acme",)), (Task.RESUME, ("beta",)), (Task.DEPLOY, ("acme", "beta", "gamma"))],
)
def test_of_all_those_are_done_whose_state_changes_so(cells, task, expected):
    plan = planned({None: UNCHANGED, "acme": SUSPEND, "beta": RESUME, "gamma": UPDATE})

    found = assigned(order(task), cells("dev", acme=SUSPENDED, beta="", gamma=""), plan)

    assert tuple(tenant for each in (*found.first, *found.portions) for tenant in each.tenants) == expected


def test_who_is_suspended_already_and_is_named_is_not_refused_but_told(cells):
    found = assigned(order(Task.SUSPEND, "acme"), cells("dev", acme=SUSPENDED), planned({"acme": UNCHANGED}))

    assert (found.first, found.portions) == ((), ())
    assert found.remarks == ("tenant acme: nothing to do, it stands as the file says",)


def test_who_was_never_deployed_cannot_be_suspended(cells):
    found = assigned(order(Task.SUSPEND, "acme"), cells("dev", acme=SUSPENDED), planned({"acme": CREATE}))

    assert found.remarks == ("tenant acme: is not to suspend, but to create: that is done by action deploy",)


def test_who_is_left_alone_is_told_with_the_reason(cells):
    left = (Left("acme", "s-acme", "is being offboarded"),)

    found = assigned(order(Task.DEPLOY, "acme"), cells("dev", acme=LEAVING), planned({}, left=left))

    assert found.remarks == ("tenant acme: is being offboarded",)


@pytest.mark.parametrize(
    ("task", "lines", "state"),
    [(Task.SUSPEND, "", "suspended"), (Task.RESUME, SUSPENDED, "active"), (Task.OFFBOARD, SUSPENDED, "offboarding")],
)
def test_a_state_that_the_file_does_not_say_is_refused_with_the_line_to_change(cells, task, lines, state):
    with pytest.raises(WrongInput, match=rf"tenants.yaml:4: tenant acme is .*write `state: {state}` there"):
        assigned(order(task, "acme"), cells("dev", acme=lines), planned({"acme": UNCHANGED}))


def test_who_leaves_is_one_portion_in_its_cell_and_nothing_goes_before(cells):
    found = assigned(
        order(Task.OFFBOARD, "acme", environment="prod"), cells("prod", acme=LEAVING + IN_B), planned({}, {})
    )

    assert (found.first, found.portions) == ((), (Portion("portion-1", "prod/b", ("acme",)),))


def test_who_leaves_by_the_file_and_not_by_a_deploy_is_refused(cells):
    with pytest.raises(WrongInput, match="is not deployed as offboarding yet: run action deploy for it"):
        assigned(order(Task.OFFBOARD, "acme"), cells("dev", acme=LEAVING), planned({"acme": Action.OFFBOARD}))


def test_more_ids_than_one_job_can_hand_to_others_are_refused(cells):
    plan = planned({f"a-tenant-of-20-{number:05}": UPDATE for number in range(5_000)})

    with pytest.raises(DeployError, match="one workflow run takes 100,000: name some"):
        assigned(order(Task.DEPLOY), cells("dev"), plan)
