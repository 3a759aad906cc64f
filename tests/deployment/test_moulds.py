import json

from hypothesis import given
from hypothesis import strategies as st

from deployment.changes import difference
from deployment.moulds import OwnWords, moulded
from deployment.replacements import replacements
from tenants.naming import TenantNames
from tests.templates import synthesised


def own(tenant, owner="data@acme.example"):
    return OwnWords.of(TenantNames("mycompany", tenant, "prod"), owner)


def test_two_tenants_of_one_shape_and_tier_are_of_one_mould():
    stacks = synthesised("prod", "\n  - {id: globex, name: G, owner: it@globex.example, datasets: [orders]}\n")
    acme, globex = (json.dumps(stacks[f"mycompany-{tenant}-prod-tenant"]) for tenant in ("acme", "globex"))

    assert moulded(acme, own("acme")) == moulded(globex, own("globex", "it@globex.example"))
    assert moulded(acme, own("acme")) != moulded(acme, own("globex", "it@globex.example"))


def test_a_word_within_another_is_left_alone():
    assert moulded('"acme" acme-eu acmes', OwnWords(whole="acme")) == '"\0id\0" acme-eu acmes'


WORDS = st.sampled_from(["@", "x-@", "@-x", "one", "two", "o", "-", "t"])
VALUES = st.lists(st.lists(WORDS, max_size=3).map(" ".join) | st.none() | st.booleans(), max_size=3)
TEMPLATES = st.fixed_dictionaries({"A": VALUES, "B": VALUES, "C": VALUES})
TENANTS = ("one", "two", "o", "true", "null")


def text(template, tenant):
    properties = {"DisplayName": template["A"], "Tags": template["B"], "TopicName": template["C"]}
    return json.dumps({"Resources": {"T": {"Type": "AWS::SNS::Topic", "Properties": properties}}}).replace("@", tenant)


def changed(old, new):
    found = difference(json.loads(old), json.loads(new), replacements())
    return [(each.logical_id, each.properties, each.replaces) for each in found.resources]


@given(old=TEMPLATES, new=TEMPLATES, tenants=st.tuples(*[st.sampled_from(TENANTS)] * 2), parts=st.booleans())
def test_one_tenant_speaks_for_another_of_its_moulds(old, new, tenants, parts):
    words = [OwnWords((f"x-{each}", each), each) if parts else OwnWords((f"x-{each}",), each) for each in tenants]
    before = [text(old, each) for each in tenants]
    after = [text(new, each) for each in tenants]

    if all(moulded(one[0], words[0]) == moulded(one[1], words[1]) for one in (before, after)):
        assert changed(before[0], after[0]) == changed(before[1], after[1])


@given(template=TEMPLATES, tenant=st.sampled_from(TENANTS))
def test_what_becomes_of_a_text_tells_the_text(template, tenant):
    """Two texts of one tenant are of one mould only if they are one."""
    masked = moulded(text(template, tenant), OwnWords((f"x-{tenant}",), tenant))

    assert masked.replace("\0id\0", tenant).replace("\x000\x00", f"x-{tenant}") == text(template, tenant)
