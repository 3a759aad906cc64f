"""In which order a tenant is suspended and goes on, whatever a deploy dies at: the ledger and the record are real (moto),
CloudFormation is a table of what each stack was last brought to.
"""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cli import rollout
from cli.connection import Connection
from cli.entries import Digests
from cli.planning import CellSight
from cli.rollout import Rollout, terms_in
from cli.standstill import in_flight
from deployment.assembly import Assembly, Stack
from deployment.lifecycle import whose_of
from deployment.planner import Intent, Sight, plan_of
from deployment.records import Shelf, bucket_of
from deployment.stacks import Adaptation, Outcome, Standing
from deployment.waves import Waves
from lineage.holds import Holds, is_held
from tenants.model import Offboarding
from tests.faults.injection import Killed, install

FIRST = "raw_to_processed"
PATIENT = 60.0


class Said:
    """A progress that says nothing."""

    def __call__(self, *_what, **_how):
        pass

    expect = begin = end = __call__


@dataclass
class World:
    """Tenant acme of environment dev: `stands` says which state's template its stack has."""

    dev: object
    folder: Path
    stands: dict = field(default_factory=dict)
    order: list = field(default_factory=list)
    beside: list = field(default_factory=list)
    """Other stacks that stand in the account."""
    run: object = None
    looks: int = 0
    is_hurried: bool = False

    @property
    def ledger(self):
        return self.dev.connection.ledger

    @property
    def ledger_state(self):
        return self.ledger.tenant("acme").state

    def connection(self, state):
        """`offboarding 30` is that state with these days of grace."""
        known, (word, _, days) = self.dev.connection, state.partition(" ")
        asked = Offboarding(
            requested_by="jane@acme.example", export=None, export_account=None, grace=int(days or 0), reuse="never"
        )
        new = {"state": word, "offboarding": asked if days else None}
        tenants = tuple(each.model_copy(update=new) if each.id == "acme" else each for each in known.registry.tenants)
        return Connection(replace(known.registry, tenants=tenants), known.environment)

    def stack(self, name, state):
        file = self.folder / f"{name}.{state}.json"
        file.write_text(
            json.dumps({"Resources": {"Workgroup": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": state}}}})
        )
        return Stack(name, file, "1", "r", {}, False, None, template_bucket="b", assets=())

    def deploy(self, state, *, platform="platform", **more):
        connection = self.connection(state)
        tenant, names = connection.tenant("acme"), connection.names("acme")
        stacks = self.stack(connection.platform.stack, platform), self.stack(names.stack, tenant.state)
        made = Rollout(connection, Assembly(self.folder, stacks), [tenant], Said(), **{"patience": PATIENT, **more})
        with made.alone():
            plan = self.plan(connection, stacks)
            assert plan.refusals == ()
            made.run(plan.cells[0], Waves())
        return {line.stack: line for line in made.lines}[names.stack]

    def plan(self, connection, stacks):
        tenant = connection.tenant("acme")
        intents = [
            Intent(stacks[0], stacks[0].digest),
            Intent(
                stacks[1],
                stacks[1].digest,
                "acme",
                tenant.state,
                Digests(connection).of(tenant),
                terms=terms_in(tenant),
                whose=whose_of(tenant.name, tenant.owner),
            ),
        ]
        known = {each.name: each for each in stacks}
        sight = Sight(
            connection.platform.stack,
            connection.environment.account,
            connection.environment.region,
            self.shelf(connection).read()[0],
            lambda _names: {name: self.standing(known[name], state) for name, state in self.stands.items()},
            lambda name: self.stack(name, self.stands[name]).template,
            CellSight(connection)._told,
        )
        return plan_of("dev", [(sight, intents)], {stacks[1].name: connection.platform.stack})

    def standing(self, stack, state):
        return Standing("UPDATE_COMPLETE", self.stack(stack.name, state).digest, termination_protection=False)

    def shelf(self, connection):
        environment = connection.environment
        return Shelf(
            connection.client("s3"), bucket_of(environment.account, environment.region), connection.platform.stack
        )

    # -- what happens meanwhile -----------------------------------------------------------------------------------

    def begin_a_run(self):
        self.dev.arrive("busy.csv")
        waiting = self.ledger.waiting("acme", "transactions", FIRST)
        self.run = self.ledger.take("acme", FIRST, self.ledger.begin("acme", FIRST, "transactions", waiting), "jr_1")

    def end_the_run(self):
        if self.run is not None:
            self.ledger.fail(self.run, "no such column")
            self.run = None

    def look(self, ledger, tenant):
        """Of the run in flight, which ends after the second look."""
        found = in_flight(ledger, tenant)
        self.order.append(f"{found} in flight while {self.ledger_state}")
        self.looks += 1
        if self.looks > 1:
            self.end_the_run()
        return found

    def after_a_death(self, connection):
        """The lease of its lock is over; dispatch looks, as it does every minute."""
        shelf = self.shelf(connection)
        shelf.s3.delete_object(Bucket=shelf.bucket, Key=f"deployments/{shelf.platform_stack}/lock.json")
        Holds(self.ledger).drain("acme")

    def arrive(self, name):
        return self.dev.arrive(name, held=is_held(self.ledger.tenant("acme")))

    def assert_sound(self):
        """A denied role never meets a tenant for which something may be begun."""
        stack = self.dev.connection.names("acme").stack
        if self.stands.get(stack) == "suspended":
            assert self.ledger_state == "suspended"

    def states(self):
        return {each.key.rpartition("/")[2]: str(each.state) for each in self.ledger.files("acme")}


class Formation:
    """In place of `Stacks`: one after the other, at once."""

    def __init__(self, world, *_clients, guard, **_more):
        self.world, self.guard = world, guard

    def deploy(self, stacks, done, **_more):
        outcomes = []
        for stack in stacks:
            self.guard()
            state = json.loads(stack.read())["Resources"]["Workgroup"]["Properties"]["DisplayName"]
            if state == "suspended":
                assert self.world.ledger_state == "suspended"
                assert self.world.is_hurried or in_flight(self.world.ledger, "acme") == 0
            self.world.stands[stack.name] = state
            self.world.order.append(f"stack {state} while {self.world.ledger_state}")
            outcomes.append(done(Outcome(stack.name, "updated", 0.0)))
        return outcomes


class Listing:
    """CloudFormation, asked for every stack."""

    def __init__(self, world):
        self.world = world

    def get_paginator(self, _operation):
        return self

    def paginate(self):
        names = [*self.world.stands, *self.world.beside]
        return [{"Stacks": [{"StackName": name, "StackStatus": "CREATE_COMPLETE"} for name in names]}]


@pytest.fixture
def world(dev, tmp_path, monkeypatch):
    made = World(dev, tmp_path)
    connection = dev.connection
    connection.client("s3").create_bucket(
        Bucket=made.shelf(connection).bucket,
        CreateBucketConfiguration={"LocationConstraint": connection.environment.region},
    )
    monkeypatch.setattr(Connection, "check_account", lambda _self: None)  # moto's is another
    client = Connection.client
    monkeypatch.setattr(
        Connection,
        "client",
        lambda self, name, session=None: Listing(made) if name == "cloudformation" else client(self, name, session),
    )
    monkeypatch.setattr(rollout, "Stacks", lambda *clients, **more: Formation(made, *clients, **more))
    monkeypatch.setattr(rollout, "adaptation", lambda _connection: Adaptation())
    monkeypatch.setattr(rollout, "in_flight", made.look)
    monkeypatch.setattr(rollout, "wake", lambda *_args: made.order.append("dispatch is woken"))
    monkeypatch.setattr(rollout, "QUIET", 0.0)
    monkeypatch.setattr(rollout, "POLL", 0.0)
    made.stands = {connection.platform.stack: "platform", connection.names("acme").stack: "active"}
    made.deploy("active")
    made.order.clear()
    return made


def test_of_a_suspension_the_ledger_is_told_then_runs_end_and_then_the_stack_is_changed(world):
    world.begin_a_run()

    line = world.deploy("suspended")

    assert world.order == [
        "1 in flight while suspended",
        "1 in flight while suspended",
        "0 in flight while suspended",
        "stack suspended while suspended",
    ]
    assert (line.action, line.changes[0]) == ("updated", "state: active → suspended")


def test_after_a_leak_a_tenant_is_denied_before_anything_else_and_whatever_it_runs(world):
    world.begin_a_run()
    world.is_hurried = True

    line = world.deploy("suspended", platform="a new platform", now=True)

    assert world.order == ["stack suspended while suspended", "stack a new platform while suspended"]
    assert line.action == "updated"
    assert world.dev.connection.ledger.open_runs("acme") != []
    assert world.dev.connection.names("acme").stack in world.shelf(world.dev.connection).read()[0].stacks


def test_of_a_resumption_the_stack_is_changed_then_the_ledger_is_told_and_then_files_go_on(world):
    world.deploy("suspended")
    world.arrive("held.csv")
    world.order.clear()

    line = world.deploy("active")

    assert world.order == ["stack active while suspended", "dispatch is woken"]
    assert (line.changes[0], line.changes[-1]) == ("state: suspended → active", "let go of 1 HELD file")
    assert world.states() == {"held.csv": "RECEIVED"}


def test_what_an_operator_holds_stays_held_when_its_tenant_goes_on(world):
    world.deploy("suspended")
    world.arrive("held.csv")
    Holds(world.ledger).hold("acme", "wrong currency")

    assert not any("let go" in change for change in world.deploy("active").changes)
    assert world.states() == {"held.csv": "HELD"}


def test_a_tenant_whose_runs_do_not_end_is_left_held_and_the_next_deploy_goes_on_with_it(world):
    world.begin_a_run()

    line = world.deploy("suspended", patience=0.0)

    stack = world.dev.connection.names("acme").stack
    assert (line.action, world.stands[stack], world.ledger_state) == ("failed", "active", "suspended")
    assert "1 run still in flight after 0 s" in line.error
    world.end_the_run()
    assert world.deploy("suspended").action == "updated"
    assert world.stands[stack] == "suspended"


def test_since_when_a_tenant_is_in_its_state_is_kept_by_deploys_that_change_something_else(world, monkeypatch):
    stack = world.dev.connection.names("acme").stack
    shelf = world.shelf(world.dev.connection)

    def since():
        return shelf.read()[0].stacks[stack].since

    first = since()
    record, etag = shelf.read()
    earlier = replace(record.stacks[stack], since="2026-01-01T00:00:00+00:00", digest="changed since")
    shelf.write(record.having(earlier), etag, record.fence)
    world.deploy("active")
    assert (first > "2026-01-01", since()) == (True, "2026-01-01T00:00:00+00:00")

    world.deploy("suspended")
    assert since() >= first


def test_less_grace_begins_with_the_deploy_that_brings_it_and_more_goes_on(world):
    stack, shelf = world.dev.connection.names("acme").stack, world.shelf(world.dev.connection)
    world.deploy("offboarding 30")
    record, etag = shelf.read()
    long_ago = replace(record.stacks[stack], since="2026-01-01T00:00:00+00:00")
    shelf.write(record.having(long_ago), etag, record.fence)

    for days, is_anew in (("60", False), ("30", True)):
        world.deploy(f"offboarding {days}")
        row = shelf.read()[0].stacks[stack]
        assert (row.since != "2026-01-01T00:00:00+00:00", f'"grace":{days}' in row.terms) == (is_anew, True)


def test_whose_an_offboarding_is_is_recorded_also_where_an_earlier_version_did_not(world):
    stack, shelf = world.dev.connection.names("acme").stack, world.shelf(world.dev.connection)
    tenant = world.dev.connection.tenant("acme")
    whose = whose_of(tenant.name, tenant.owner)
    assert shelf.read()[0].stacks[stack].whose is None

    world.deploy("offboarding 30")
    record, etag = shelf.read()
    assert record.stacks[stack].whose == whose

    shelf.write(record.having(replace(record.stacks[stack], whose=None)), etag, record.fence)
    assert world.deploy("offboarding 30").action == "unchanged"
    assert shelf.read()[0].stacks[stack].whose == whose

    world.deploy("active")
    assert shelf.read()[0].stacks[stack].whose is None


def test_after_a_lost_record_a_deploy_of_one_tenant_enters_every_other_that_stands(world):
    connection = world.dev.connection
    shelf = world.shelf(connection)
    world.beside = ["mycompany-zeta-dev-tenant", "somebody-elses", "mycompany-zeta-prod-tenant"]
    shelf.s3.delete_object(Bucket=shelf.bucket, Key=shelf.key)

    world.deploy("suspended")

    record = shelf.read()[0]
    assert record.is_known
    zeta = record.stacks["mycompany-zeta-dev-tenant"]
    assert (zeta.tenant, zeta.digest, zeta.is_begun) == ("zeta", "", True)
    assert {each.tenant for each in record.stacks.values()} == {None, "acme", "zeta"}


def killed_at(world, number, state):
    """Whether the deploy died before its call of this number, counted from the begin."""
    try:
        with install(f"kill_before:{number}") as process:
            world.deploy(state)
    except Killed:
        return True
    assert not process.fired
    return False


@pytest.mark.parametrize(("before", "after"), [("active", "suspended"), ("suspended", "active")])
@pytest.mark.parametrize("taken_back", [False, True])
@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.slow)])
def test_wherever_it_dies_no_role_is_denied_at_work_no_file_is_lost_and_the_next_deploy_ends_it(
    world, before, after, taken_back, step
):
    """At some calls, nightly at every one; once with the change taken back after the death."""
    shall = before if taken_back else after
    stack = world.dev.connection.names("acme").stack
    for number in range(1, 200, step):
        world.deploy(before)
        if before == "active":
            world.looks = 0
            world.begin_a_run()
        early = world.arrive(f"early{number}.csv")
        died = killed_at(world, number, after)
        world.assert_sound()
        late = world.arrive(f"late{number}.csv")
        world.after_a_death(world.connection(after))

        if died:
            world.deploy(shall)
            world.assert_sound()
            assert (world.stands[stack], world.ledger_state) == (shall, shall)
            record = world.shelf(world.dev.connection).read()[0].stacks[stack]
            assert (record.state, record.is_begun) == (shall, False)
        world.after_a_death(world.connection(after))
        world.end_the_run()
        held = {name for name, state in world.states().items() if state == "HELD"}
        names = {each.rpartition("/")[2] for each in (early, late)}
        assert names <= world.states().keys()
        assert not held or world.ledger_state == "suspended"
        if not died:
            return
    pytest.fail("more calls than were tried")
