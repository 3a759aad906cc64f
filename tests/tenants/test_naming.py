import string
from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lineage.table import TENANT_PREFIX
from tenants.errors import InvalidName
from tenants.naming import (
    RESERVED_CELLS,
    RESERVED_TENANTS,
    PlatformNames,
    TenantNames,
    arn,
    check_dataset,
    check_environment,
    check_organization,
    check_tenant,
    check_tenant_in,
)

NAMES = TenantNames("mycompany", "acme-eu", "dev")
PLATFORM = PlatformNames("mycompany", "dev")


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        (NAMES.stack, "mycompany-acme-eu-dev-tenant"),
        (NAMES.bucket, "mycompany-acme-eu-dev-datalake"),
        (NAMES.key_alias, "alias/mycompany-acme-eu-dev"),
        (NAMES.rule, "mycompany-acme-eu-dev-arrivals"),
        (NAMES.topic, "mycompany-acme-eu-dev-alerts"),
        (NAMES.database, "mycompany_acme_eu_dev"),
        (NAMES.workgroup, "mycompany-acme-eu-dev"),
        (NAMES.job("raw_to_processed"), "mycompany-acme-eu-dev-raw-to-processed"),
        (NAMES.job("processed_to_analytics"), "mycompany-acme-eu-dev-processed-to-analytics"),
        (NAMES.job_role, "mycompany-acme-eu-dev-job"),
        (NAMES.analyst_role, "mycompany-acme-eu-dev-analyst"),
        (NAMES.boundary, "mycompany-acme-eu-dev-boundary"),
        (NAMES.log_group, "/lake/mycompany/dev/acme-eu/jobs"),
        (PLATFORM.stack, "mycompany-dev-platform"),
        (PLATFORM.ledger, "mycompany-dev-ledger"),
        (PLATFORM.queue, "mycompany-dev-arrivals"),
        (PLATFORM.dead_letter_queue, "mycompany-dev-arrivals-dead"),
        (PLATFORM.topic, "mycompany-dev-alerts"),
        (PLATFORM.register_function, "mycompany-dev-register"),
        (PLATFORM.dispatch_function, "mycompany-dev-dispatch"),
        (PLATFORM.code_bucket, "mycompany-dev-platform-code"),
        (PLATFORM.key_alias, "alias/mycompany-dev-platform"),
    ],
)
def test_names_are_these(given_name, expected):
    assert given_name == expected


@pytest.mark.parametrize("name", ["acme", "a1b", "acme-eu", "a-b-c", "x" * 20])
def test_a_good_tenant_id_stands(name):
    assert check_tenant(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 21,
        "Acme",
        "1acme",
        "-acme",
        "acme-",
        "ac--me",
        "ac_me",
        "acme\n",
        "ac me",
        "acmé",
        "аcme",
        "a.b",
    ],
)
def test_a_bad_tenant_id_is_refused(name):
    with pytest.raises(InvalidName):
        check_tenant(name)


@pytest.mark.parametrize("name", sorted(RESERVED_TENANTS))
def test_a_reserved_tenant_id_is_refused(name):
    with pytest.raises(InvalidName, match="reserved"):
        check_tenant(name)


@pytest.mark.parametrize("name", ["acme-dev", "dev-acme", "developers", "acme-devs-eu"])
def test_no_part_of_a_tenant_id_begins_with_the_environment(name):
    with pytest.raises(InvalidName, match="begins with the environment name 'dev'"):
        TenantNames("mycompany", name, "dev")


@pytest.mark.parametrize("name", ["my-company", "ab", "x" * 17, "My", "9lives", "sthree", "amzn", "lake\n"])
def test_a_bad_organization_is_refused(name):
    with pytest.raises(InvalidName):
        check_organization(name)


@pytest.mark.parametrize("name", ["d", "dev-1", "DEV", "x" * 9, "dev\n", "1dev"])
def test_a_bad_environment_is_refused(name):
    with pytest.raises(InvalidName):
        check_environment(name)


@pytest.mark.parametrize("name", ["", "Orders", "1st", "or-ders", "x" * 41, "orders\n", "orders_quarantine"])
def test_a_bad_dataset_is_refused(name):
    with pytest.raises(InvalidName):
        check_dataset(name)


@pytest.mark.parametrize("name", ["", "Raw", "raw-to", "raw__to", "raw_", "raw\n"])
def test_a_bad_job_is_refused(name):
    with pytest.raises(InvalidName):
        NAMES.job(name)


ids = st.from_regex(r"\A[a-z](?:[a-z0-9]|-(?=[a-z0-9])){2,19}\Z").filter(lambda name: name not in RESERVED_TENANTS)
# Few letters, so that ids share parts and contain the environment's name now and then.
close_ids = st.text("adev-", min_size=3, max_size=12)
environments = st.sampled_from(["de", "dev", "ed", "prod"])


def _fit(name, environment):
    try:
        return check_tenant_in(name, environment)
    except InvalidName:
        return None


def _names(tenant, environment):
    names = TenantNames("lake", tenant, environment)
    exact = [names.workgroup, names.stack, names.bucket, names.key_alias, names.rule, names.database, names.log_group]
    return [*exact, names.job_role, names.analyst_role, names.boundary, names.job("raw_to_processed")]


@given(st.one_of(ids, close_ids), st.one_of(ids, close_ids), environments)
def test_no_name_of_a_tenant_is_or_begins_a_name_of_another(one, other, environment):
    assume(one != other and _fit(one, environment) and _fit(other, environment))

    assert [
        (mine, theirs)
        for mine in _names(one, environment)
        for theirs in _names(other, environment)
        if theirs.casefold().startswith(mine.casefold())
    ] == []


@given(st.one_of(ids, close_ids), environments)
def test_no_name_of_a_tenant_begins_one_of_the_platform_or_the_other_way_round(tenant, environment):
    assume(_fit(tenant, environment))
    platform = PlatformNames("lake", environment)
    shared = [platform.stack, platform.ledger, platform.queue, platform.topic, platform.code_bucket, platform.key_alias]

    assert [
        (mine, theirs)
        for mine in _names(tenant, environment)
        for theirs in shared
        if theirs.startswith(mine) or mine.startswith(theirs)
    ] == []


@given(st.one_of(ids, close_ids), environments)
def test_names_stay_within_the_services_limits(tenant, environment):
    assume(_fit(tenant, environment))
    names = TenantNames("o" * 16, tenant, environment)

    assert len(names.bucket) <= 63
    assert len(names.boundary) <= 64
    assert len(names.rule) <= 64
    assert len(names.job("processed_to_analytics")) <= 255


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("ap-southeast-1", "aws")],
)
def test_an_arn_is_in_the_partition_of_its_region(region, partition):
    assert arn("sns", region, "111122223333", "alerts") == f"arn:{partition}:sns:{region}:111122223333:alerts"


# -- several environments and organizations in one account -------------------------------------------------------------

# Whatever may stand after a name where a policy or a service goes on: a folder, a stream, a job, a column.
DELIMITERS = ("-", "/", ":", "_", "#", ".")
environment_sets = st.sets(
    st.one_of(st.sampled_from(["de", "dev", "dev2", "eu", "ed", "prod", "ledger", "job"]), st.text("dev1", min_size=2)),
    min_size=1,
    max_size=3,
)


# Ids that are made of one another and of environments' names.
related_ids = st.lists(
    st.sampled_from(["acme", "eu", "a1", "de", "dev", "prod", "ledger"]), min_size=1, max_size=3
).map("-".join)


def every_name(names):
    """By what they name, so that a new property of `TenantNames` is in it without being written down here."""
    properties = [word for word in dir(type(names)) if isinstance(getattr(type(names), word), property)]
    found = {word: getattr(names, word) for word in properties if isinstance(getattr(names, word), str)}
    if isinstance(names, TenantNames):
        found |= {job: names.job(job) for job in ("raw_to_processed", "processed_to_analytics", "maintain")}
        found |= {f"{found['workgroup']}-": f"{found['workgroup']}-scanned"}  # an alarm
    return set(found.values())


def fits_all(tenant, environments):
    try:
        for environment in environments:
            check_environment(environment)
            check_tenant_in(tenant, environment)
    except InvalidName:
        return False
    return True


def test_every_name_is_every_name():
    assert len(every_name(NAMES)) == 15
    assert {NAMES.bucket, NAMES.boundary, NAMES.log_group, NAMES.job("maintain")} < every_name(NAMES)
    assert {PLATFORM.ledger, PLATFORM.webhook_function} < every_name(PLATFORM)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.one_of(related_ids, ids), st.one_of(related_ids, close_ids)),
    environment_sets,
    st.tuples(*[st.sampled_from(["lake", "lak", "lakes", "dev", "prod"])] * 2),
    st.data(),
)
def test_names_are_one_owners_whatever_the_tenants_environments_and_organizations(tenants, environments, houses, data):
    assume(all(fits_all(tenant, environments) for tenant in tenants))
    (one, other), (one_house, other_house) = tenants, houses
    environment, elsewhere = (data.draw(st.sampled_from(sorted(environments))) for _ in range(2))
    owners = [
        TenantNames(one_house, one, environment),
        TenantNames(other_house, other, elsewhere),
        PlatformNames(one_house, environment),
        PlatformNames(other_house, elsewhere),
    ]

    for mine in owners:
        for theirs in owners:
            if mine != theirs:
                assert {name.casefold() for name in every_name(mine)}.isdisjoint(every_name(theirs))
                assert reached(mine, theirs) == []


def reached(mine, theirs):
    """Names of theirs that a pattern reaches which ends at a name of mine and a delimiter."""
    return [
        (own, name)
        for own in every_name(mine)
        for name in every_name(theirs)
        if name.casefold().startswith(tuple(own.casefold() + sign for sign in DELIMITERS))
    ]


cells = st.one_of(
    st.sampled_from(["b", "c", "age", "dev", "prod", "platform", "dea"]),
    st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True),
)


def fits(cell, environments):
    return fits_all("xyz", environments) and cell not in RESERVED_CELLS | environments


@settings(max_examples=200, deadline=None)
@given(st.one_of(ids, close_ids), environment_sets, st.lists(cells, min_size=2, max_size=4, unique=True), st.data())
def test_names_of_two_cells_and_of_a_tenant_are_never_equal(tenant, environments, names, data):
    assume(fits_all(tenant, environments) and all(fits(cell, environments) for cell in names))
    environment, elsewhere = (data.draw(st.sampled_from(sorted(environments))) for _ in range(2))
    owners = [PlatformNames("lake", environment, cell) for cell in (None, *names)]
    owners += [TenantNames("lake", tenant, each) for each in environments]
    if elsewhere != environment:
        owners += [PlatformNames("lake", elsewhere, cell) for cell in (None, *names)]

    for mine in owners:
        for theirs in owners:
            if mine != theirs:
                assert {name.casefold() for name in every_name(mine)}.isdisjoint(every_name(theirs))


@settings(max_examples=200, deadline=None)
@given(environment_sets, cells, cells, st.data())
def test_a_pattern_that_ends_at_a_name_and_a_sign_that_no_name_holds_reaches_one_cell(environments, one, other, data):
    environment = data.draw(st.sampled_from(sorted(environments)))
    assume(one != other and fits(one, environments) and fits(other, environments))
    owners = [PlatformNames("lake", environment, cell) for cell in (None, one, other)]

    assert [
        (name, theirs)
        for mine in owners
        for foreign in owners
        if mine != foreign
        for name in every_name(mine)
        for theirs in every_name(foreign)
        if theirs.startswith(tuple(name + sign for sign in DELIMITERS if sign != "-"))
    ] == []


@given(environment_sets, cells, st.data())
def test_the_patterns_for_all_tenants_of_an_environment_reach_no_cell_of_the_platform(environments, cell, data):
    assume(fits(cell, environments))
    environment, elsewhere = (data.draw(st.sampled_from(sorted(environments))) for _ in range(2))
    patterns = [
        f"lake-*-{environment}-{word}" for word in ("job", "analyst", "datalake", "tenant", "alerts", "arrivals")
    ]

    assert [
        (pattern, name)
        for name in every_name(PlatformNames("lake", elsewhere, cell))
        for pattern in patterns
        if fnmatchcase(name, pattern)
    ] == []


def test_names_of_a_further_cell_end_in_its_name():
    assert PlatformNames("mycompany", "prod", "b").dead_letter_queue == "mycompany-prod-arrivals-dead-b"
    assert PlatformNames("mycompany", "prod", "b").key_alias == "alias/mycompany-prod-platform-b"
    assert PlatformNames("mycompany", "prod").stack == PlatformNames("mycompany", "prod", None).stack


@pytest.mark.parametrize("cell", ["", "B", "b-c", "ninechars", "1b", "first", "dead", "code", "tenant", "b\n"])
def test_a_bad_cell_is_refused(cell):
    with pytest.raises(InvalidName, match="cell"):
        PlatformNames("mycompany", "prod", cell)


@given(st.one_of(ids, close_ids), environment_sets, st.data())
def test_the_patterns_for_all_tenants_of_an_environment_reach_no_other_environment_and_nothing_of_the_platform(
    tenant, environments, data
):
    assume(fits_all(tenant, environments))
    environment, elsewhere = (data.draw(st.sampled_from(sorted(environments))) for _ in range(2))
    patterns = [f"lake-*-{environment}-{word}" for word in ("job", "analyst", "datalake", "tenant")]
    own = TenantNames("lake", tenant, environment)
    foreign = [PlatformNames("lake", name) for name in environments]
    if elsewhere != environment:
        foreign.append(TenantNames("lake", tenant, elsewhere))

    assert {own.job_role, own.analyst_role, own.bucket, own.stack} == {
        name for name in every_name(own) for pattern in patterns if fnmatchcase(name, pattern)
    }
    assert [
        (pattern, name)
        for names in foreign
        for name in every_name(names)
        for pattern in patterns
        if fnmatchcase(name, pattern)
    ] == []


def test_a_tenant_named_as_an_environment_would_have_the_platforms_names_and_is_refused_where_both_are():
    assert TenantNames("lake", "prod", "ledger").workgroup == PlatformNames("lake", "prod").ledger
    assert not fits_all("prod", {"ledger", "prod"})


@given(st.one_of(ids, close_ids), st.one_of(ids, close_ids))
def test_rows_of_the_ledger_begin_with_one_tenants_prefix_only(one, other):
    assume(one != other and _fit(one, "test") and _fit(other, "test"))

    assert not TENANT_PREFIX.format(tenant=other).startswith(TENANT_PREFIX.format(tenant=one))


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=25), st.text("aé1-\n", min_size=3, max_size=5)))
def test_no_text_is_a_name_but_plain_lower_case_ascii(text):
    checks = {check_tenant: "-", check_organization: "", check_environment: "", check_dataset: "_"}

    for check, signs in checks.items():
        try:
            check(text)
        except InvalidName as error:
            said = str(error)
        else:
            assert text.casefold() == text
            assert set(text) <= set(string.ascii_lowercase + string.digits + signs)
            continue
        assert said.isprintable()
