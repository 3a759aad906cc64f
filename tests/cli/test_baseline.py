"""`lake plan --against`: an assembly in place of what is deployed, without account and credentials."""

import json
from hashlib import sha256

import pytest
from botocore.client import BaseClient

from cli.exit_codes import ExitCode
from tests.cli.test_deploy import ENVIRONMENTS, GLOBEX, ORDERS, TENANTS

ACME, GLOBEXS = "mycompany-acme-prod-tenant", "mycompany-globex-prod-tenant"
CELLS = ENVIRONMENTS.replace(
    "region: eu-central-1}", 'region: eu-central-1, cells: {b: {account: "111122223333", region: eu-west-1}}}'
)
LEAVING = "    state: offboarding\n    offboarding: {requested_by: jane@acme.example, export: none}\n"
LEFT = LEAVING.replace("state: offboarding", "state: offboarded")


class Change:
    """A registry before and after, and the plan between them."""

    def __init__(self, lake, folder):
        self.lake, self.tenants, self.base = lake, folder / "tenants", folder / "base"
        (self.tenants / "contracts").mkdir(parents=True)
        self.environments(ENVIRONMENTS)
        self.contract(ORDERS)

    def environments(self, text):
        (self.tenants / "environments.yaml").write_text(text)

    def contract(self, text):
        (self.tenants / "contracts" / "orders.yaml").write_text(text)

    def before(self, tenants):
        self.after(tenants)
        answer = self.lake("synth", "-e", "prod", "--output", self.base)
        assert answer.exit_code == 0, answer.output

    def after(self, tenants):
        (self.tenants / "tenants.yaml").write_text(tenants)

    def plan(self, *arguments):
        return self.lake("plan", "-e", "prod", "--against", self.base, *arguments)

    @property
    def facts(self):
        return json.loads(self.plan("--json").stdout)

    @property
    def actions(self):
        return {each["stack"]: each["action"] for cell in self.facts["cells"] for each in cell["changes"]}

    @property
    def refusals(self):
        return {each["subject"]: each["reason"] for each in self.facts["refusals"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Shared, since shapes are kept there."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def change(tmp_path, lake, home, monkeypatch):
    """Whoever asks AWS, or has credentials for it, fails."""
    monkeypatch.setenv("LAKE_HOME", str(home))
    monkeypatch.setenv("LAKE_TENANTS", str(tmp_path / "tenants"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def refuse(_self, name, _given):
        raise AssertionError(f"{name} was asked")

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    return Change(lake, tmp_path)


def test_what_did_not_change_is_nothing_to_do_and_the_plan_says_what_it_does_not_know(change):
    change.before(TENANTS)

    answer = change.plan()

    assert answer.exit_code == 0, answer.output
    assert f"mycompany-prod-platform: compared with {change.base}, not with what is deployed: what was" in answer.output
    assert "environment prod: nothing to do, 2 stacks unchanged\n" in answer.output


def test_new_and_changed_tenants_are_told_as_a_plan_tells_them(change):
    change.before(TENANTS)
    change.after(TENANTS + "    retention: {raw: 7 days}\n" + GLOBEX)

    answer = change.plan()

    assert answer.exit_code == ExitCode.CHANGES, answer.output
    assert f"{ACME}: update\n    ~ Lake5F1B88EA AWS::S3::Bucket LifecycleConfiguration\n" in answer.output
    assert "    ~ what the ledger is told of the tenant: names, retention or runs at once\n" in answer.output
    assert f"{GLOBEXS}: create\n" in answer.output
    assert "+1 KMS key" in answer.output
    assert change.plan("acme").output.count(": create") == 0
    assert change.plan("--markdown").output.startswith(
        "### Plan for environment prod: 1 to create, 1 to update, 1 unch"
    )


def test_tenants_that_change_alike_are_told_once(change):
    names = [f"  - {{id: many{n}, name: Many, owner: it{n}@many.example, datasets: [orders]" for n in range(12)]
    change.before(TENANTS + "".join(f"{name}}}\n" for name in names))
    change.after(TENANTS + "".join(f"{name}, retention: {{raw: 7 days}}}}\n" for name in names))

    said = change.plan().output

    assert "mycompany-many9-prod-tenant and 2 more: update\n" in said
    assert said.count("LifecycleConfiguration") == 1


def test_contracts_and_batching_are_compared_by_what_the_assembly_says_of_them(change):
    change.before(TENANTS + GLOBEX)
    change.after((TENANTS + GLOBEX).replace("max_wait: 1 hour", "max_wait: 2 hours"))
    assert {each["stack"]: each["entries"] for each in change.facts["cells"][0]["changes"]} == {
        ACME: ["dataset orders: another contract, files, batching or schedule"]
    }

    (change.base / "tenants.json").unlink()
    answer = change.plan()
    assert answer.exit_code == 0
    assert "it has no tenants.json, so states, contracts and batching of tenants are not compared" in answer.output


@pytest.mark.parametrize(
    ("state", "action"), [("    state: suspended\n", "suspend"), (LEAVING, "offboard")], ids=["suspended", "leaving"]
)
def test_transitions_are_shown_both_ways(change, state, action):
    change.before(TENANTS)
    change.after(TENANTS + state)
    assert change.actions == {ACME: action}

    change.before(TENANTS + state)
    change.after(TENANTS)
    assert change.actions == {ACME: "resume"}


def test_a_tenant_that_vanished_is_refused_where_it_stood(change):
    change.before(TENANTS + GLOBEX)
    change.after(TENANTS)

    answer = change.plan()

    assert answer.exit_code == ExitCode.REFUSED
    assert change.refusals[GLOBEXS].startswith("tenant globex is deployed and no longer in tenants.yaml; taking a")
    assert change.plan("acme").exit_code == 0

    (change.base / "tenants.json").unlink()
    assert change.refusals[GLOBEXS].startswith("tenant globex is deployed and no longer in tenants.yaml; taking a")


@pytest.mark.parametrize("after", [TENANTS + GLOBEX + LEFT, TENANTS], ids=["a tombstone", "no line"])
def test_who_was_leaving_may_have_left_which_only_the_account_knows(change, after):
    change.before(TENANTS + GLOBEX + LEAVING)
    change.after(after)

    facts = change.facts

    assert (facts["result"], facts["refusals"]) == ("nothing to do", [])
    (left,) = facts["cells"][0]["left"]
    assert (left["tenant"], left["stack"]) == ("globex", GLOBEXS)
    assert "whether it has a certificate is known in its account only" in left["reason"]


def test_who_was_at_work_does_not_leave_without_having_been_offboarding(change):
    change.before(TENANTS + GLOBEX)
    change.after(TENANTS + GLOBEX + LEFT)

    assert "tenant globex is `offboarded` by tenants.yaml, but is deployed here" in change.refusals[GLOBEXS]


@pytest.mark.parametrize(
    ("reuse", "life", "why"),
    [
        ("never", 2, "the id globex is not given again"),
        ("after certificate", 1, "the lines of a new tenant of this id say `life: 2`"),
        ("after certificate", 2, None),
    ],
)
def test_an_id_that_was_given_up_is_given_again_only_as_the_file_said(change, reuse, life, why):
    change.before(TENANTS + GLOBEX + LEFT.replace("none}", f"none, reuse: {reuse}}}"))
    change.after(TENANTS + GLOBEX + f"    life: {life}\n")

    said = change.refusals.get(GLOBEXS)
    assert said is None if why is None else why in said


def test_a_new_tenant_does_not_take_the_place_of_one_that_is_still_there(change):
    change.before(TENANTS + GLOBEX + LEAVING)
    change.after(TENANTS + GLOBEX + "    life: 2\n")

    assert "another tenant of this id, life 1, stands here" in change.refusals[GLOBEXS]


@pytest.mark.parametrize(
    ("name", "owner", "is_another"),
    [
        ("Globex", "it@globex.example", False),
        ("Hooli", "it@globex.example", True),
        ("Globex", "it@hooli.example", True),
    ],
)
def test_an_offboarding_is_taken_back_by_whom_it_is_of_and_by_nobody_else(change, name, owner, is_another):
    """The lines of a new tenant without its `life` look as if the one before went on."""
    change.before(TENANTS + GLOBEX + LEAVING.replace("none}", "none, reuse: after certificate}"))
    change.after(TENANTS + GLOBEX.replace("Globex", name).replace("it@globex.example", owner))

    if not is_another:
        assert (change.refusals, change.actions[GLOBEXS]) == ({}, "resume")
        return
    assert change.refusals[GLOBEXS].startswith("tenant globex is offboarding here, and these lines of another name or")
    assert GLOBEXS not in change.actions
    assert change.plan().exit_code == ExitCode.REFUSED

    facts = json.loads((change.base / "tenants.json").read_text())
    for row in facts["tenants"]:
        del row["whose"]
    (change.base / "tenants.json").write_text(json.dumps(facts))
    assert (change.refusals, change.actions[GLOBEXS]) == ({}, "resume")  # as an earlier version wrote it


def test_a_tenant_does_not_move_to_another_cell_nor_lose_its_own(change):
    change.environments(CELLS)
    change.before(TENANTS + GLOBEX + "    cells: {prod: b}\n")
    assert change.facts["result"] == "nothing to do"

    change.after(TENANTS + GLOBEX)
    assert "tenants.yaml places its tenant in another cell" in change.refusals[GLOBEXS]

    change.environments(ENVIRONMENTS)
    assert "is in the cell of mycompany-prod-platform-b, which is gone from the registry" in change.refusals[GLOBEXS]


def test_a_bucket_that_would_be_replaced_is_refused(change):
    change.before(TENANTS)
    manifest = change.base / "manifest.json"
    template = change.base / json.loads(manifest.read_text())["artifacts"][ACME]["properties"]["templateFile"]
    old = template.read_bytes()
    new = old.replace(b"mycompany-acme-prod-datalake", b"mycompany-acme-prod-pond")
    template.write_bytes(new)
    manifest.write_text(manifest.read_text().replace(sha256(old).hexdigest(), sha256(new).hexdigest()))

    assert change.refusals[f"{ACME}/Lake5F1B88EA"].startswith("AWS::S3::Bucket holds data and would be replaced")


def test_what_is_no_assembly_is_told(change, tmp_path):
    change.after(TENANTS)
    for folder in (tmp_path / "nothing", tmp_path):
        answer = change.lake("plan", "-e", "prod", "--against", folder)
        assert answer.exit_code == ExitCode.NOT_FOUND
        assert "is no assembly; make one with `lake synth --output" in " ".join(answer.output.split())


def test_options_that_look_at_what_is_live_are_refused_beside_it(change):
    assert change.plan("--refresh").exit_code == ExitCode.INPUT
    assert change.plan("--aside", "prod/b").exit_code == ExitCode.INPUT
