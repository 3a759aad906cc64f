import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenants.errors import NotFound, Offboarded, RegistryError
from tenants.registry import load

ACME = """\
organization: mycompany
tenants:
  - id: acme
    name: Acme GmbH
    owner: data@acme.example
    datasets: [orders]
"""
LEAVING = """\
    state: offboarding
    offboarding:
      requested_by: jane@acme.example
      export: s3://acme-takeout/lake
      export_account: "123456789012"
"""
LEFT = """\
  - id: globex
    name: Globex
    owner: data@globex.example
    state: offboarded
    offboarding: {requested_by: jane@globex.example, export: none}
"""


def told(folder, text):
    (folder / "tenants.yaml").write_text(text)
    with pytest.raises(RegistryError) as raised:
        load(folder)
    return str(raised.value).splitlines()


def tenant(folder, text, name="acme"):
    (folder / "tenants.yaml").write_text(text)
    return load(folder).known(name)


def test_a_tenant_that_leaves_says_who_asked_and_where_its_data_go(folder):
    leaving = tenant(folder, ACME + LEAVING).offboarding

    assert (leaving.requested_by, leaving.grace, leaving.reuse) == ("jane@acme.example", 30, "never")
    assert (leaving.export, leaving.export_account) == ("s3://acme-takeout/lake/", "123456789012")
    assert (leaving.export_bucket, leaving.export_prefix) == ("acme-takeout", "lake/")


@pytest.mark.parametrize(
    ("export", "bucket", "prefix"),
    [
        ("s3://acme-takeout", "acme-takeout", ""),
        ("s3://acme-takeout/", "acme-takeout", ""),
        ("s3://abc/a/b/", "abc", "a/b/"),
    ],
)
def test_an_export_goes_below_a_prefix_or_the_bucket(folder, export, bucket, prefix):
    leaving = tenant(folder, ACME + LEAVING.replace("s3://acme-takeout/lake", export)).offboarding

    assert (leaving.export_bucket, leaving.export_prefix) == (bucket, prefix)


def test_nothing_is_exported_only_where_that_is_said(folder):
    text = ACME + "    state: offboarding\n    offboarding: {requested_by: jane@acme.example, export: none, grace: 0}\n"

    leaving = tenant(folder, text).offboarding

    assert (leaving.export, leaving.export_account, leaving.export_bucket, leaving.grace) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            LEAVING,
            "    state: offboarding\n",
            "3: tenants[acme]: state offboarding needs `offboarding:` with ",
        ),
        (
            LEAVING,
            "    state: offboarded\n",
            "3: tenants[acme]: state offboarded needs `offboarding:` with ",
        ),
        (
            "    state: offboarding\n",
            "",
            "7: tenants[acme].offboarding: goes with state offboarding or offboarded, and the ",
        ),
        ("state: offboarding", "state: suspended", "8: tenants[acme].offboarding: goes with state offboarding or "),
        ("      requested_by: jane@acme.example\n", "", "8: tenants[acme].offboarding.requested_by: is missing"),
        ("      export: s3://acme-takeout/lake\n", "", "8: tenants[acme].offboarding.export: is missing"),
        ("s3://acme-takeout/lake", "", "10: tenants[acme].offboarding.export: has no value"),
        (
            "s3://acme-takeout/lake",
            "https://acme.example",
            "10: tenants[acme].offboarding.export: 'https://acme.example'",
        ),
        (
            "s3://acme-takeout/lake",
            "s3://acme-takeout/../x/",
            "10: tenants[acme].offboarding.export: 's3://acme-takeout",
        ),
        (
            "s3://acme-takeout/lake",
            "s3://acme-takeout//",
            "10: tenants[acme].offboarding.export: 's3://acme-takeout//'",
        ),
        (
            "s3://acme-takeout/lake",
            '"s3://acme-takeout/a\\nb"',
            "10: tenants[acme].offboarding.export: 's3://acme-take",
        ),
        ("s3://acme-takeout/lake", "none", "8: tenants[acme].offboarding: export is none, and export_account is given"),
        ('      export_account: "123456789012"\n', "", "8: tenants[acme].offboarding: export goes to a bucket and "),
        ("123456789012", "12345678901", "11: tenants[acme].offboarding.export_account: '12345678901'"),
        (
            "      export:",
            "      grace: soon\n      export:",
            "10: tenants[acme].offboarding.grace: 'soon' is no number",
        ),
        ("      export:", "      reuse: maybe\n      export:", "10: tenants[acme].offboarding.reuse: 'maybe'"),
        (
            "requested_by",
            "requsted_by",
            "9: tenants[acme].offboarding.requsted_by: unknown key; did you mean 'requested_by'",
        ),
        (
            "s3://acme-takeout/lake",
            "s3://mycompany-acme-dev-datalake/x",
            "10: tenants[acme].offboarding.export: mycompany-",
        ),
    ],
)
def test_what_is_wrong_with_a_leave_is_told_where_it_stands(folder, old, new, message):
    assert old in ACME + LEAVING

    problems = told(folder, (ACME + LEAVING).replace(old, new))

    assert any(problem.startswith(f"tenants/tenants.yaml:{message}") for problem in problems), problems


@pytest.mark.parametrize(
    "bucket",
    [
        "mycompany-acme-dev-datalake",
        "mycompany-hooli-dev-datalake",
        "mycompany-dev-platform-code",
        "cdk-hnb659fds-assets-111122223333-eu-central-1",
    ],
)
def test_an_export_into_a_bucket_of_the_platform_is_refused(folder, bucket):
    (problem,) = told(folder, ACME + LEAVING.replace("acme-takeout", bucket))

    assert problem.endswith(f"export: {bucket} is a bucket of the platform: name one of whoever the data go to")


def test_a_bucket_that_only_begins_as_ours_do_takes_an_export(folder):
    leaving = tenant(folder, ACME + LEAVING.replace("acme-takeout", "mycompany-takeout")).offboarding

    assert leaving.export_bucket == "mycompany-takeout"


def test_one_that_left_is_no_tenant_and_is_known(folder):
    (folder / "tenants.yaml").write_text(ACME + LEFT)

    registry = load(folder)

    assert [each.id for each in registry.tenants] == ["acme"]
    assert [(each.id, each.datasets) for each in registry.offboarded] == [("globex", ())]
    assert registry.known("globex").is_offboarded
    assert registry.known("acme") == registry.tenant("acme")
    assert registry.place_of(registry.known("globex"), "dev") == registry.environment("dev")
    assert [each.id for cell in registry.cells("dev") for each in registry.tenants_in(cell)] == ["acme"]
    for ask in (registry.tenant, lambda name: registry.names(name, "dev"), lambda name: registry.cell_of(name, "dev")):
        with pytest.raises(Offboarded, match="'globex' is offboarded"):
            ask("globex")
    with pytest.raises(NotFound, match="no tenant 'hooli'; known: acme"):
        registry.known("hooli")


def test_one_that_left_needs_no_contract_any_more(folder):
    (folder / "tenants.yaml").write_text(ACME + LEFT + "    datasets: [gone]\n")

    assert [dataset.name for dataset in load(folder).known("globex").datasets] == ["gone"]


def test_only_one_that_left_may_leave_out_its_datasets(folder):
    (problem,) = told(folder, ACME + LEFT.replace("state: offboarded", "state: offboarding"))

    assert problem == "tenants/tenants.yaml:7: tenants[globex].datasets: is missing"


@pytest.mark.parametrize(
    ("reuse", "way_out"),
    [
        ("", "is never used again: choose another id"),
        (", reuse: after certificate", "write these lines in place of those with `life: 2`, or another id"),
    ],
)
def test_the_id_of_one_that_left_is_taken(folder, reuse, way_out):
    left = LEFT.replace("globex\n", "acme\n", 1).replace("export: none", f"export: none{reuse}")

    (problem,) = told(folder, ACME.replace("tenants:\n", "tenants:\n" + left))

    assert problem.startswith("tenants/tenants.yaml:8: tenants[acme].id: tenant 'acme' left, line 3")
    assert way_out in problem


def test_a_new_tenant_in_the_place_of_one_that_left_has_the_next_life(folder):
    (folder / "tenants.yaml").write_text(ACME + "    life: 2\n")
    assert load(folder).tenant("acme").life == 2

    (folder / "tenants.yaml").write_text(ACME)
    assert load(folder).tenant("acme").life == 1


@pytest.mark.parametrize("life", ["0", "-1", "two", "true", "1.5", "100"])
def test_a_life_is_a_whole_number_from_one_on(folder, life):
    (line,) = told(folder, ACME + f"    life: {life}\n")

    assert "tenants.yaml:7: " in line
    assert "life" in line


def test_with_a_memory_the_same_is_known(folder, tmp_path):
    (folder / "tenants.yaml").write_text(
        LEFT.join(["organization: mycompany\ntenants:\n", ACME.split("tenants:\n")[1]]) + LEAVING
    )
    fresh = load(folder)

    for _ in range(2):
        assert load(folder, memory=tmp_path / "memory.json") == fresh
    assert [each.id for each in fresh.offboarded] == ["globex"]
    assert fresh.tenant("acme").offboarding is not None


STATES = ("active", "suspended", "offboarding", "offboarded")
NUMBERS = itertools.count()


def lines_of(position, state, *, has_datasets):
    leaving = "    offboarding: {requested_by: jane@acme.example, export: none}\n" if state in STATES[2:] else ""
    datasets = "" if state == "offboarded" and not has_datasets else "    datasets: [orders]\n"
    head = f"  - id: tenant{position}\n    name: T\n    owner: data@acme.example\n"
    return f"{head}    state: {state}\n{leaving}{datasets}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STATES), st.booleans()), min_size=1, max_size=8), st.data())
def test_every_tenant_is_here_or_left_and_a_memory_of_another_day_changes_nothing(folder, entries, data):
    """`data` chooses which of them had another state on the day that is remembered."""
    memory = folder.parent / f"memory{next(NUMBERS)}.json"
    changed = [data.draw(st.sampled_from(STATES)) if data.draw(st.booleans()) else state for state, _ in entries]

    for states in (changed, [state for state, _ in entries]):
        blocks = [lines_of(n, state, has_datasets=entries[n][1]) for n, state in enumerate(states)]
        (folder / "tenants.yaml").write_text("organization: mycompany\ntenants:\n" + "".join(blocks))
        found = load(folder, memory=memory)

        assert found == load(folder)
        assert [each.id for each in found.tenants] == [
            f"tenant{n}" for n, state in enumerate(states) if state != "offboarded"
        ]
        assert [each.id for each in found.offboarded] == [
            f"tenant{n}" for n, state in enumerate(states) if state == "offboarded"
        ]
        assert {each.id for each in (*found.tenants, *found.offboarded) if each.offboarding} == {
            f"tenant{n}" for n, state in enumerate(states) if state in STATES[2:]
        }
