"""Plans of pretended cells whose looks are counted."""

import json
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from cli.diff import text_of
from deployment.assembly import Stack
from deployment.lifecycle import Ends, is_sooner, terms_of, whose_of
from deployment.moulds import OwnWords, mould
from deployment.planner import Intent, Sight, Told, plan_of, standing_in
from deployment.plans import Action, Refusal
from deployment.records import Record, Recorded, RecordedOffboarding
from deployment.stacks import Adaptation, Standing

PLATFORM, ACME, GLOBEX = "mycompany-prod-platform", "mycompany-acme-prod-tenant", "mycompany-globex-prod-tenant"


def bucket(days=90, name="lake"):
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, "LifecycleConfiguration": days}}


def resources(tenant="", **more):
    return {"Lake": bucket(name=f"mycompany-{tenant}-prod-datalake")} | more


@dataclass
class Cell:
    """A cell whose stacks are templates in a folder; `asked` are the looks at it."""

    folder: object
    deployed: dict = field(default_factory=dict)
    record: Record = field(default_factory=Record)
    statuses: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)
    updated: dict = field(default_factory=dict)
    platform: str = PLATFORM
    account: str = "777788889999"
    asked: list = field(default_factory=list)

    def stack(self, name, contents, **more):
        file = self.folder / f"{name}.{len(list(self.folder.iterdir()))}.json"
        file.write_text(json.dumps({"Resources": contents}))
        given = {"tags": {}, "termination_protection": True, "execution_role": None, **more}
        return Stack(name, file, self.account, "eu-central-1", template_bucket="b", assets=(), **given)

    def intent(self, tenant, contents, state="active", entries="e1", **more):
        stack = self.stack(f"mycompany-{tenant}-prod-tenant", contents, **more)
        own = partial(OwnWords, (f"mycompany-{tenant}-prod",), tenant)
        return Intent(stack, Adaptation().mark(stack), tenant, state, entries, own)

    def platform_intent(self, contents=None):
        stack = self.stack(self.platform, contents or {"Topic": {"Type": "AWS::SNS::Topic"}})
        return Intent(stack, stack.digest)

    def deploy(self, *intents, deploy="one"):
        """As if these had been deployed and recorded."""
        for intent in intents:
            self.deployed[intent.name] = (intent.stack.template, intent.digest)
            made = mould(intent.stack, intent.own()) if intent.tenant else None
            facts = (intent.name, intent.tenant, intent.digest, intent.entries, intent.state, "now", deploy, made)
            self.updated[intent.name] = deploy
            whose = intent.whose if intent.state == "offboarding" else None
            more = {"updated": deploy, "life": intent.life, "terms": intent.terms, "whose": whose}
            self.record = self.record.having(Recorded(*facts, **more))

    def edit(self, intent, contents):
        """As somebody does it who takes the template that stands, and changes a value: the description stays."""
        self.deployed[intent.name] = ({"Resources": contents}, intent.digest)
        self.updated[intent.name] = "afterwards"

    def sight(self):
        return Sight(
            self.platform,
            self.account,
            "eu-central-1",
            self.record,
            self._live,
            self._template,
            self._told,
            is_tenants=lambda name: name.endswith("-prod-tenant"),
        )

    def _live(self, names):
        self.asked.append(("live", None if names is None else sorted(names)))
        return {
            name: Standing(self.statuses.get(name, "CREATE_COMPLETE"), digest, True, self.updated.get(name))
            for name, (_, digest) in self.deployed.items()
            if names is None or name in names
        }

    def _template(self, name):
        self.asked.append(("template", name))
        return self.deployed[name][0]

    def _told(self, intent):
        self.asked.append(("told", intent.tenant))
        return self.told.get(intent.tenant, Told())


@pytest.fixture
def cell(tmp_path):
    return Cell(tmp_path)


def planned(cell, *intents, also=(), chosen=None, **more):
    """`also`: tenants that the file names in this cell, though no stack of theirs is meant."""
    placed = {intent.name: cell.platform for intent in intents if intent.tenant} | dict.fromkeys(also, cell.platform)
    return plan_of("prod", [(cell.sight(), intents)], placed, chosen=chosen, suffix=" -e prod", **more)


def actions(plan):
    return {change.stack: str(change.action) for each in plan.cells for change in each.changes}


def test_nothing_is_asked_of_anybody_where_everything_is_as_recorded(cell):
    intents = [cell.platform_intent(), *(cell.intent(f"tenant{n}", resources(f"tenant{n}")) for n in range(30))]
    cell.deploy(*intents)

    plan = planned(cell, *intents)

    assert (plan.is_empty, plan.counts) == (True, {Action.UNCHANGED: 31})
    assert cell.asked == []


def test_a_changed_tenant_is_the_only_one_that_is_looked_at(cell):
    intents = [cell.platform_intent(), *(cell.intent(f"tenant{n}", resources(f"tenant{n}")) for n in range(30))]
    cell.deploy(*intents)
    intents[7] = cell.intent("tenant6", resources("tenant6", Lake=bucket(7, "mycompany-tenant6-prod-datalake")))

    plan = planned(cell, *intents)

    (change,) = plan.cells[0].pending
    assert (change.stack, change.action) == ("mycompany-tenant6-prod-tenant", "update")
    assert [(each.logical_id, each.properties) for each in change.resources] == [("Lake", ("LifecycleConfiguration",))]
    assert cell.asked == [("template", "mycompany-tenant6-prod-tenant")]


def test_of_tenants_that_change_alike_one_template_is_asked_for(cell):
    old = [cell.intent(f"tenant{n}", resources(f"tenant{n}")) for n in range(30)]
    cell.deploy(cell.platform_intent(), *old)
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    new = [cell.intent(f"tenant{n}", resources(f"tenant{n}", **topic)) for n in range(30)]

    plan = planned(cell, *new)

    assert plan.counts == {Action.UPDATE: 30}
    assert {tuple(each.logical_id for each in change.resources) for change in plan.cells[0].pending} == {("Topic",)}
    assert cell.asked == [("template", "mycompany-tenant10-prod-tenant")]  # the first of those with the longest name
    assert [len(group.stacks) for group in plan.cells[0].groups] == [30]


def test_tenants_that_were_not_alike_before_are_not_taken_for_alike(cell):
    cell.deploy(cell.intent("acme", resources("acme")), cell.intent("globex", {}))
    new = [cell.intent(tenant, resources(tenant, T={"Type": "AWS::SNS::Topic"})) for tenant in ("acme", "globex")]

    acme, globex = planned(cell, *new).cells[0].pending

    assert [each.logical_id for each in acme.resources] == ["T"]
    assert [each.logical_id for each in globex.resources] == ["Lake", "T"]


def test_a_stack_that_the_record_does_not_know_is_asked_for_and_not_made_again(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(cell.platform_intent(), acme)
    cell.deployed[globex.name] = (globex.stack.template, globex.digest)  # a deploy was killed before it recorded it
    cell.told = {"globex": Told("active", ())}
    new = cell.intent("initech", resources("initech"))

    plan = planned(cell, acme, globex, new)

    assert actions(plan) == {ACME: "unchanged", GLOBEX: "unchanged", new.name: "create"}
    assert cell.asked[0] == ("live", [globex.name, new.name])


def test_a_stack_that_a_deploy_was_at_when_it_ended_is_looked_at(cell):
    acme, globex, initech = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex", "initech"))
    cell.deploy(acme, globex, initech)
    cell.record = cell.record.having(
        *(replace(cell.record.stacks[each.name], digest="", entries=None, mould=None) for each in (acme, globex))
    )
    del cell.deployed[GLOBEX]  # not begun with

    plan = planned(cell, acme, globex, initech)

    assert actions(plan) == {ACME: "unchanged", GLOBEX: "create", initech.name: "unchanged"}
    assert cell.asked == [("live", [ACME, GLOBEX]), ("told", "acme")]


def test_many_unknown_stacks_are_listed_at_once(cell):
    cell.deploy(cell.platform_intent())
    new = [cell.intent(f"tenant{n}", resources(f"tenant{n}")) for n in range(11)]

    assert planned(cell, *new).counts == {Action.CREATE: 11}
    assert cell.asked == [("live", None)]


def test_without_a_record_live_stacks_are_asked_once_and_the_ledger_for_each(cell):
    platform, acme = cell.platform_intent(), cell.intent("acme", resources("acme"), state="suspended")
    cell.deploy(platform, acme)
    cell.record, cell.told = Record(unread="cannot be read"), {"acme": Told("active", ("state: active → suspended",))}

    plan = planned(cell, platform, acme)

    assert actions(plan) == {PLATFORM: "unchanged", ACME: "suspend"}
    assert plan.cells[0].note == "compared with the stacks as they stand: the record cannot be read"
    assert cell.asked == [("live", None), ("told", "acme")]


@pytest.mark.parametrize(
    ("was", "shall", "action"),
    [
        ("active", "suspended", "suspend"),
        ("suspended", "active", "resume"),
        ("active", "offboarding", "offboard"),
        ("suspended", "offboarding", "offboard"),
        ("offboarding", "suspended", "suspend"),
        ("offboarding", "active", "resume"),
        ("active", "active", "update"),
    ],
)
def test_a_transition_goes_by_the_recorded_state(cell, was, shall, action):
    cell.deploy(cell.intent("acme", resources("acme"), state=was))
    cell.told = {"acme": Told(was, (f"state: {was} → {shall}",))}

    plan = planned(cell, cell.intent("acme", resources("acme"), state=shall, entries="e2"))

    assert actions(plan) == {ACME: action}
    assert plan.cells[0].pending[0].entries == (f"state: {was} → {shall}",)


def test_what_the_ledger_has_already_been_told_is_no_change(cell):
    cell.deploy(cell.intent("acme", resources("acme")))

    assert planned(cell, cell.intent("acme", resources("acme"), entries="e2")).is_empty
    assert cell.asked == [("told", "acme")]


def test_refresh_sees_what_was_changed_beside_the_record(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)
    cell.deployed[ACME] = ({"Resources": {}}, "another")
    del cell.deployed[GLOBEX]

    assert planned(cell, acme, globex).is_empty
    assert actions(planned(cell, acme, globex, refresh=True)) == {ACME: "update", GLOBEX: "create"}


def test_refresh_of_one_tenant_asks_for_no_other(cell):
    intents = [cell.intent(f"tenant{n}", resources(f"tenant{n}")) for n in range(30)]
    cell.deploy(*intents)

    assert planned(cell, intents[3], refresh=True, chosen=[intents[3].name]).is_empty
    assert cell.asked == [("live", [intents[3].name])]


def test_refresh_finds_a_template_that_was_edited_by_hand_and_asks_for_no_other(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)
    cell.edit(acme, resources("acme", Lake=bucket(1, "mycompany-acme-prod-datalake")))

    plan = planned(cell, acme, globex, refresh=True)

    assert actions(plan) == {ACME: "update", GLOBEX: "unchanged"}
    (change,) = plan.cells[0].changes[0].resources
    assert (change.logical_id, change.properties) == ("Lake", ("LifecycleConfiguration",))
    assert {name for what, name in cell.asked if what == "template"} == {ACME}


@pytest.mark.parametrize("times", [{}, {ACME: "afterwards"}])
def test_a_template_that_nobody_can_vouch_for_is_asked_for_on_refresh_and_may_be_the_same(cell, times):
    acme = cell.intent("acme", resources("acme"))
    cell.deploy(acme)
    cell.updated = times

    assert planned(cell, acme, refresh=True).is_empty
    assert cell.asked == [("live", None), ("template", ACME)]


def test_one_of_many_that_was_edited_by_hand_is_not_taken_for_like_the_others(cell):
    tenants = [f"tenant{n}" for n in range(5)]
    before = [cell.intent(tenant, resources(tenant)) for tenant in tenants]
    cell.deploy(*before)
    cell.edit(before[3], resources("tenant3", Key={"Type": "AWS::KMS::Key"}))
    after = [cell.intent(each, resources(each, Lake=bucket(7, f"mycompany-{each}-prod-datalake"))) for each in tenants]

    plan = planned(cell, *after, refresh=True)

    assert [each.subject for each in plan.refusals] == [f"{before[3].name}/Key"]


def test_refresh_finds_a_stack_whose_last_update_was_taken_back(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.deploy(acme)
    cell.statuses[ACME] = "UPDATE_ROLLBACK_COMPLETE"

    assert actions(planned(cell, acme, refresh=True)) == {ACME: "update"}


def test_refresh_finds_a_protection_that_was_switched_off(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.deploy(acme)
    unprotected = {ACME: Standing("CREATE_COMPLETE", acme.digest, termination_protection=False, updated="one")}
    cell._live = lambda names: unprotected

    (change,) = planned(cell, acme, refresh=True).cells[0].pending
    assert change.sections == ("tags, execution role, termination protection or description",)


def test_a_creation_that_never_succeeded_is_planned_again(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.deployed[ACME] = ({}, "d")
    cell.statuses[ACME] = "ROLLBACK_COMPLETE"

    assert actions(planned(cell, acme)) == {ACME: "create"}


def test_a_state_that_needs_a_person_is_a_refusal(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.deploy(acme)
    cell.statuses[ACME] = "DELETE_FAILED"

    (refusal,) = planned(cell, acme, refresh=True).refusals
    assert refusal.subject == ACME
    assert "DELETE_FAILED" in refusal.reason


def test_a_tenant_that_vanished_from_the_file_is_refused_with_the_way_to_end_it(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)

    plan = planned(cell, acme)

    assert plan.refusals == (
        Refusal(
            GLOBEX,
            "tenant globex is deployed and no longer in tenants.yaml; taking a tenant out deletes nothing: put its "
            "lines back, and to end it set `state: offboarding` there and deploy, then `lake tenant offboard globex "
            "-e prod --delete-everything --confirm globex`",
        ),
    )
    assert cell.asked == [("live", [GLOBEX])]


def test_a_vanished_tenant_whose_stack_is_gone_too_is_only_forgotten(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)
    del cell.deployed[GLOBEX]

    plan = planned(cell, acme)

    assert (plan.refusals, plan.cells[0].gone) == ((), (GLOBEX,))


def begun(intent):
    """As a deploy leaves it that died while it made the stack."""
    return Recorded(intent.name, intent.tenant, "", None, None, "now", "two", is_begun=True)


def test_a_tenant_whose_first_deploy_died_does_not_vanish_unseen(cell):
    acme, globex, initech = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex", "initech"))
    cell.deploy(acme, globex)
    cell.record = cell.record.lacking(GLOBEX).having(begun(globex), begun(initech))

    plan = planned(cell, acme)

    assert [each.subject for each in plan.refusals] == [GLOBEX]
    assert plan.cells[0].gone == (initech.name,)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED"])
def test_a_creation_that_was_begun_and_failed_is_planned_again(cell, status):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)
    cell.record = cell.record.having(begun(globex))
    cell.statuses[GLOBEX] = status

    plan = planned(cell, acme, globex)

    assert (plan.refusals, actions(plan)) == ((), {ACME: "unchanged", GLOBEX: "create"})


def test_a_begun_tenant_goes_by_the_state_that_the_ledger_knows(cell):
    globex = cell.intent("globex", resources("globex"), state="suspended")
    cell.deploy(globex)
    cell.record = cell.record.having(begun(globex))
    cell.told["globex"] = Told("active", ("state: active → suspended",))

    assert actions(planned(cell, globex)) == {GLOBEX: "suspend"}


def test_a_stack_of_a_tenant_that_no_record_and_no_file_names_is_found_on_refresh(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.deploy(acme)
    cell.deployed |= {GLOBEX: ({}, "d"), "somebody-elses": ({}, "d")}

    assert [each.subject for each in planned(cell, acme, refresh=True).refusals] == [GLOBEX]
    assert planned(cell, acme).refusals == ()


def test_a_tenant_of_the_file_without_a_template_has_not_vanished(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)

    assert planned(cell, acme, also=[GLOBEX]).refusals == ()


def test_who_asks_for_one_tenant_is_not_told_of_another(cell):
    acme, globex = (cell.intent(tenant, resources(tenant)) for tenant in ("acme", "globex"))
    cell.deploy(acme, globex)

    assert planned(cell, acme, chosen=[ACME]).refusals == ()


@pytest.mark.parametrize("chosen", [None, [ACME]])
def test_a_tenant_does_not_move_to_another_cell(tmp_path, chosen):
    first, second = Cell(tmp_path), Cell(tmp_path, platform=f"{PLATFORM}-b", account="111122223333")
    first.deploy(first.intent("acme", resources("acme")))
    acme = second.intent("acme", resources("acme"))

    plan = plan_of("prod", [(first.sight(), []), (second.sight(), [acme])], {ACME: second.platform}, chosen=chosen)

    (refusal,) = plan.refusals
    assert refusal.subject == ACME
    assert refusal.reason.startswith("stands in account 777788889999, Region eu-central-1, and tenants.yaml places")
    assert actions(plan) == {}


def test_what_would_give_up_data_is_refused_until_it_is_named(cell):
    cell.deploy(cell.intent("acme", resources("acme")), cell.intent("globex", resources("globex")))
    moved = [
        cell.intent(tenant, {"Lake": bucket(name=f"mycompany-{tenant}-prod-pond")}) for tenant in ("acme", "globex")
    ]

    (refusal,) = planned(cell, *moved).refusals
    assert refusal.subject == f"{ACME} and 1 more/Lake"
    assert refusal.reason == (
        "AWS::S3::Bucket holds data and would be replaced because of BucketName; take that change back, or save the "
        f"data and say `--replace {ACME}/Lake`"
    )

    (refusal,) = planned(cell, *moved, named={f"{ACME}/Lake"}).refusals
    assert refusal.subject == f"{GLOBEX}/Lake"
    assert planned(cell, *moved, named={f"{ACME}/Lake", f"{GLOBEX}/Lake"}).refusals == ()


def test_a_resource_with_data_that_leaves_the_stack_is_refused_too(cell):
    cell.deploy(cell.intent("acme", resources("acme")))

    (refusal,) = planned(cell, cell.intent("acme", {})).refusals
    assert "would leave the stack" in refusal.reason


def test_what_cannot_be_judged_cannot_be_named_away(cell):
    strange = {"It": {"Type": "AWS::New::Thing", "Properties": {"A": 1}}}
    cell.deploy(cell.intent("acme", strange))
    changed = {"It": {"Type": "AWS::New::Thing", "Properties": {"A": 2}}}

    plan = planned(cell, cell.intent("acme", changed), named={f"{ACME}/It"})
    assert [each.reason for each in plan.refusals] == ["what a change does to AWS::New::Thing is not known here"]


def test_a_query_that_a_cloud_makes_beside_its_stacks_is_not_said_to_be_a_tag(cell):
    def contents(limit):
        query = {"Type": "AWS::Athena::NamedQuery", "Properties": {"QueryString": f"SELECT 1 LIMIT {limit}"}}
        return resources("acme") | {"Newest": query}

    def without_queries(template):
        kept = {name: each for name, each in template["Resources"].items() if name != "Newest"}
        return {**template, "Resources": kept}

    cell.deploy(cell.intent("acme", contents(10)))
    cell.deployed[ACME] = (without_queries(cell.deployed[ACME][0]), cell.deployed[ACME][1])
    changed = cell.intent("acme", contents(11))
    sight = replace(cell.sight(), adaptation=Adaptation(without_queries, "1"))

    plan = plan_of("prod", [(sight, [changed])], {ACME: cell.platform})

    (change,) = plan.cells[0].pending
    (section,) = change.sections
    assert section.endswith("or description, or what this cloud makes beside the stack: AWS::Athena::NamedQuery")
    assert [line.strip() for line in text_of(plan.cells[0])] == [
        ACME,
        f"the template is the same; one of these differs: {section}",
    ]


def test_a_change_of_tags_alone_is_an_update_that_says_so(cell):
    cell.deploy(cell.intent("acme", resources("acme")))

    (change,) = planned(cell, cell.intent("acme", resources("acme"), tags={"team": "x"})).cells[0].pending
    assert (change.action, change.resources) == ("update", ())
    assert change.sections == ("tags, execution role, termination protection or description",)


BEGUN = RecordedOffboarding("begun", "2026-11-20T10:00:00+00:00", ACME)
NEVER = RecordedOffboarding("certified", "2026-11-21T10:00:00+00:00", ACME, "never", "c.json", "5f")
AGAIN = replace(NEVER, reuse="after certificate")
ENDS_IT = "`lake tenant offboard acme -e prod --delete-everything --confirm acme`"


def test_a_new_state_is_shown_with_what_it_brings_and_an_old_one_is_not(cell):
    before, after = (cell.intent("acme", resources("acme"), state=state) for state in ("active", "offboarding"))
    cell.deploy(before)
    told = replace(after, entries="e2", remarks=("nothing is deleted before …",))

    assert planned(cell, told).cells[0].pending[0].remarks == ("nothing is deleted before …",)
    cell.deploy(replace(told, entries="e3"))
    cell.told["acme"] = Told("offboarding", ("retention: 7 → 8",))
    assert [each.remarks for each in planned(cell, told).cells[0].pending] == [()]


@pytest.mark.parametrize("recorded", ["active", "suspended"])
def test_a_transition_that_died_half_way_is_still_one(cell, recorded):
    """The ledger is told first of a suspension, and last of its end."""
    intent = cell.intent("acme", resources("acme"), state="active" if recorded == "active" else "suspended")
    cell.deploy(replace(intent, state=recorded))
    cell.record = cell.record.having(replace(cell.record.stacks[ACME], digest="", entries=None))
    cell.told["acme"] = Told("suspended" if recorded == "active" else "active", ("state: …",))

    assert actions(planned(cell, intent)) == {ACME: "resume" if recorded == "active" else "suspend"}


@pytest.mark.parametrize("stands", [True, False])
def test_a_tenant_whose_end_has_begun_is_left_alone(cell, stands):
    acme, globex = cell.intent("acme", resources("acme"), state="offboarding"), cell.intent("globex", {})
    cell.deploy(acme, globex)
    cell.record = cell.record.offboarding("acme", BEGUN)
    changed = cell.intent("acme", {"Lake": bucket(name="another")}, state="offboarding")
    if not stands:
        del cell.deployed[ACME]

    plan = planned(cell, changed, globex)

    assert (plan.is_empty, plan.refusals, cell.asked) == (True, (), [])
    (left,) = plan.cells[0].left
    assert (left.tenant, left.stack) == ("acme", ACME)
    assert left.reason == (
        f"is being offboarded since 2026-11-20T10:00:00+00:00, and left alone; {ENDS_IT} goes on with it"
    )


@pytest.mark.parametrize("state", ["active", "suspended"])
@pytest.mark.parametrize("chosen", [None, [ACME]])
def test_an_end_that_has_begun_is_not_taken_back(cell, state, chosen):
    acme = cell.intent("acme", resources("acme"), state=state)
    cell.deploy(acme)
    cell.record = cell.record.offboarding("acme", BEGUN)

    plan = planned(cell, acme, chosen=chosen)

    assert plan.refusals == (
        Refusal(
            ACME,
            "tenant acme is being offboarded since 2026-11-20T10:00:00+00:00, which is not taken back: put "
            f"`state: offboarding` with its `offboarding:` back, and {ENDS_IT} goes on with it",
        ),
    )
    assert actions(plan) == {}


def test_of_a_tenant_that_is_certified_there_is_nothing_to_do_while_the_file_says_offboarding(cell):
    cell.deploy(globex := cell.intent("globex", resources("globex")))
    cell.record = cell.record.offboarding("acme", NEVER)
    acme = cell.intent("acme", resources("acme"), state="offboarding")

    for refresh in (False, True):
        plan = planned(cell, acme, globex, refresh=refresh)
        assert (plan.is_empty, plan.refusals, [each.tenant for each in plan.cells[0].left]) == (True, (), ["acme"])


@pytest.mark.parametrize("end", [BEGUN, NEVER])
def test_an_id_that_is_not_free_makes_no_new_tenant(cell, end):
    cell.record = cell.record.offboarding("acme", end)

    (refusal,) = planned(cell, cell.intent("acme", resources("acme"))).refusals

    assert refusal.subject == ACME
    if end == NEVER:
        assert refusal.reason == (
            "the id acme is not given again: its tenant was offboarded at 2026-11-21T10:00:00+00:00 with "
            "`reuse: never` (certificate: c.json); take another id"
        )


def test_an_id_that_may_come_back_lives_and_ends_a_second_time(cell):
    cell.record = cell.record.offboarding("acme", AGAIN)
    acme = replace(cell.intent("acme", resources("acme")), life=2)
    assert (actions(planned(cell, acme)), planned(cell, acme).refusals) == ({ACME: "create"}, ())

    cell.deploy(acme)
    assert planned(cell, acme).is_empty
    leaving = replace(acme, state="offboarding", entries="e2")
    cell.told["acme"] = Told("active", ("state: active → offboarding",))
    assert actions(planned(cell, leaving)) == {ACME: "offboard"}

    cell.record = replace(Record(unread="is not there yet"), offboardings=cell.record.offboardings)
    assert actions(planned(cell, leaving)) == {ACME: "offboard"}


def test_lines_that_come_back_as_they_were_are_not_taken_for_a_new_tenant(cell):
    cell.record = cell.record.offboarding("acme", AGAIN)

    (refusal,) = planned(cell, cell.intent("acme", resources("acme"))).refusals

    assert refusal.reason == (
        "tenant acme was offboarded at 2026-11-21T10:00:00+00:00 (certificate: c.json); the lines of a new tenant of "
        "this id say `life: 2`"
    )


@pytest.mark.parametrize("state", ["active", "offboarding"])
@pytest.mark.parametrize("was", ["active", "offboarding"])
def test_a_new_tenant_never_gets_what_another_one_of_its_id_has_left(cell, state, was):
    """As in an environment where the first one has no certificate yet."""
    cell.deploy(cell.intent("acme", resources("acme"), state=was))
    acme = replace(cell.intent("acme", resources("acme"), state=state), life=2)

    for refresh in (False, True):
        plan = planned(cell, acme, refresh=refresh)
        assert actions(plan) == {}
        (refusal,) = plan.refusals
        assert refusal.reason.startswith("tenant acme has life 2, and another tenant of this id, life 1, stands here")

    cell.record = cell.record.offboarding("acme", BEGUN)
    (refusal,) = planned(cell, acme).refusals
    assert "tenant acme is being offboarded since" in refusal.reason


ACMES, ANOTHERS = whose_of("Acme", "it@acme.example"), whose_of("Acme Bank", "it@acme-bank.example")


@pytest.mark.parametrize("state", ["active", "suspended"])
@pytest.mark.parametrize(
    "whose", [ANOTHERS, whose_of("Acme Bank", "it@acme.example"), whose_of("Acme", "it@a.example")]
)
def test_an_offboarding_is_not_taken_back_by_lines_of_another_name_or_owner(cell, state, whose):
    """As of a new tenant, where the first one is certified in another environment and its lines were written over."""
    leaving = replace(cell.intent("acme", resources("acme"), state="offboarding"), whose=ACMES)
    cell.deploy(leaving)
    cell.told["acme"] = Told("offboarding", (f"state: offboarding → {state}",))
    back = replace(cell.intent("acme", resources("acme"), state=state, entries="e2"), whose=ACMES)

    plan = planned(cell, replace(back, whose=whose))

    assert actions(plan) == {}
    assert plan.refusals == (
        Refusal(
            ACME,
            f"tenant acme is offboarding here, and these lines of another name or owner say `state: {state}`: a new "
            "tenant does not get what the one before has left. If it is the same one, put name and owner back, and "
            "change them after a deploy that takes its offboarding back. If it is a new one, put the lines of the one "
            f"before back, {ENDS_IT} ends it here, and with `reuse: after certificate` the new one's lines say "
            "`life: 2`",
        ),
    )
    assert actions(planned(cell, back)) == {ACME: "resume" if state == "active" else "suspend"}

    interrupted = replace(cell.record.stacks[ACME], digest="", entries=None, mould=None)
    cell.record = cell.record.having(interrupted)
    assert [each.subject for each in planned(cell, replace(back, whose=whose)).refusals] == [ACME]
    assert planned(cell, back).refusals == ()


def test_name_and_owner_change_freely_where_no_offboarding_ends_with_them_or_nobody_knows_them(cell):
    acme = replace(cell.intent("acme", resources("acme")), whose=ACMES)
    for state in ("active", "suspended", "offboarding"):
        cell.deploy(replace(acme, state=state))
        assert planned(cell, replace(acme, state=state, whose=ANOTHERS)).refusals == ()

    cell.record = cell.record.having(replace(cell.record.stacks[ACME], whose=None))
    assert planned(cell, replace(acme, whose=ANOTHERS)).refusals == ()


def test_where_nobody_knows_whose_a_stack_is_it_is_not_given_to_a_later_tenant(cell):
    acme = replace(cell.intent("acme", resources("acme")), life=2)
    cell.deploy(acme)
    cell.record = Record(unread="is not there yet")
    assert "whose stack stands here is unknown" in planned(cell, acme).refusals[0].reason

    cell.record = cell.record.offboarding("acme", AGAIN)
    assert planned(cell, acme).refusals == ()
    assert planned(cell, replace(acme, life=3)).refusals != ()


def test_a_tenant_of_the_first_life_needs_no_record_to_be_known(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.deploy(acme)
    cell.record = Record(unread="is not there yet")

    assert planned(cell, acme).refusals == ()


def test_an_id_that_is_not_free_in_one_cell_is_not_free_in_another(tmp_path):
    first, second = Cell(tmp_path), Cell(tmp_path, platform=f"{PLATFORM}-b", account="111122223333")
    first.record = first.record.offboarding("acme", NEVER)
    acme = second.intent("acme", resources("acme"))

    plan = plan_of("prod", [(first.sight(), []), (second.sight(), [acme])], {ACME: second.platform})
    names, refusals = standing_in(first.sight(), {ACME: 1}, {ACME: second.platform}, " -e prod")

    assert [each.subject for each in plan.refusals] == [ACME]
    assert actions(plan) == {}
    assert (names, [each.reason for each in refusals]) == ({ACME}, [each.reason for each in plan.refusals])


def test_a_tenant_that_is_offboarding_and_does_not_stand_is_not_made(cell):
    cell.deploy(cell.platform_intent())

    plan = planned(cell, cell.intent("acme", resources("acme"), state="offboarding"))

    assert (plan.is_empty, plan.refusals) == (True, ())
    assert plan.cells[0].left[0].reason == "is offboarding and does not stand here: nothing is made only to be deleted"


def entombed(cell, *intents, **more):
    return planned(cell, *intents, tombstones={ACME: "acme"}, **more)


@pytest.mark.parametrize("refresh", [False, True])
def test_who_has_left_by_the_file_and_by_a_certificate_or_never_was_here_is_no_matter(cell, refresh):
    cell.deploy(globex := cell.intent("globex", resources("globex")))
    assert entombed(cell, globex, refresh=refresh).refusals == ()

    cell.record = cell.record.offboarding("acme", NEVER)
    assert entombed(cell, globex, refresh=refresh).refusals == ()
    assert [each for each in cell.asked if not refresh] == []


@pytest.mark.parametrize(
    ("end", "stands", "why"),
    [
        (None, True, "is deployed here"),
        (None, False, "was deployed here, and has no certificate"),
        (BEGUN, True, "is being offboarded since 2026-11-20T10:00:00+00:00, without a certificate yet"),
        (BEGUN, False, "is being offboarded since 2026-11-20T10:00:00+00:00, without a certificate yet"),
    ],
)
def test_who_has_left_by_the_file_only_is_refused_with_what_ends_it(cell, end, stands, why):
    cell.deploy(cell.intent("acme", resources("acme")))
    cell.record = cell.record if end is None else cell.record.offboarding("acme", end)
    if not stands:
        del cell.deployed[ACME]

    plan = entombed(cell)

    assert plan.refusals == (
        Refusal(
            ACME,
            f"tenant acme is `offboarded` by tenants.yaml, but {why}: put `state: offboarding` back and deploy, then "
            f"{ENDS_IT} deletes what there is and certifies it",
        ),
    )
    assert plan.cells[0].gone == ()


def test_a_tenant_that_vanished_while_it_ends_is_refused_even_when_its_stack_is_gone(cell):
    cell.deploy(cell.intent("acme", resources("acme")))
    cell.record = cell.record.offboarding("acme", BEGUN)
    del cell.deployed[ACME]

    (refusal,) = planned(cell).refusals

    assert refusal.reason == (
        "tenant acme is being offboarded since 2026-11-20T10:00:00+00:00, without a certificate yet, and no longer in "
        f"tenants.yaml: put its lines back with `state: offboarding`, and {ENDS_IT} goes on with it"
    )
    cell.record = cell.record.lacking(ACME)
    assert [each.subject for each in planned(cell).refusals] == [ACME]
    cell.record = cell.record.offboarding("acme", NEVER)
    assert planned(cell).refusals == ()


def test_a_tenant_that_ends_here_does_not_move_to_another_cell(tmp_path):
    first, second = Cell(tmp_path), Cell(tmp_path, platform=f"{PLATFORM}-b", account="111122223333")
    first.record = first.record.offboarding("acme", BEGUN)
    acme = second.intent("acme", resources("acme"), state="offboarding")

    plan = plan_of("prod", [(first.sight(), []), (second.sight(), [acme])], {ACME: second.platform})

    (refusal,) = plan.refusals
    assert "tenants.yaml places its tenant in another cell" in refusal.reason


@pytest.mark.parametrize("turned", [False, True])
def test_where_two_cells_know_of_one_id_what_keeps_it_longest_counts(turned):
    first, second = {"acme": AGAIN}, {"acme": NEVER}
    ends = Ends.of([second, first] if turned else [first, second], {})
    assert "not given again" in ends.obstacle("acme", "active")

    first, second = {"acme": NEVER}, {"acme": BEGUN}
    ends = Ends.of([second, first] if turned else [first, second], {})
    assert "is being offboarded since" in ends.obstacle("acme", "active")


def test_a_tombstone_whose_end_is_certified_elsewhere_or_was_only_begun_to_be_made_is_no_matter(cell):
    acme = cell.intent("acme", resources("acme"))
    cell.record = cell.record.having(begun(acme))

    plan = entombed(cell)

    assert (plan.refusals, plan.cells[0].gone) == ((), (ACME,))


def test_a_stack_that_came_back_by_hand_after_its_certificate_is_refused(cell):
    cell.deploy(cell.intent("acme", resources("acme")))
    cell.record = cell.record.lacking(ACME).offboarding("acme", NEVER)

    (refusal,) = entombed(cell, refresh=True).refusals
    assert "but is deployed here" in refusal.reason
    (refusal,) = planned(cell, refresh=True).refusals
    assert "is deployed and no longer in tenants.yaml" in refusal.reason


def terms(**more):
    return terms_of({"requested_by": "jane@acme.example", "export": None, "grace": 30, **more})


def test_other_terms_of_one_that_leaves_are_a_change_that_is_shown(cell):
    acme = replace(cell.intent("acme", resources("acme"), state="offboarding"), terms=terms(), remarks=("until …",))
    cell.deploy(acme)
    assert planned(cell, acme).is_empty

    (change,) = planned(cell, replace(acme, terms=terms(grace=0, export="s3://theirs/"))).cells[0].pending

    assert (change.action, change.remarks) == ("update", ("until …",))
    assert change.entries == (
        "export of the offboarding: None → s3://theirs/",
        "grace of the offboarding: 30 → 0",
    )


def test_only_a_shorter_grace_is_sooner():
    assert [is_sooner(terms(), terms(grace=days)) for days in (0, 29, 30, 31)] == [True, True, False, False]
    assert (is_sooner(None, terms()), is_sooner(terms(), None)) == (False, True)
