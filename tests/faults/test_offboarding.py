"""Every call that ends a tenant is a point where it dies or its answer is lost; run again, it ends as if nothing was.

Against the emulator's S3, CloudFormation, KMS and DynamoDB. What must hold at any moment is looked at after each death:
the key never goes before the data. In the end the certificate holds, its numbers are those of what was there, and the
neighbour has noticed nothing.
"""

import pytest

from deployment.inventory import Inventory
from deployment.keys import TenantKey
from deployment.offboarding import Offboarding
from deployment.parts import Parts
from tests.faults.injection import Killed, install
from tests.faults.leaving import opened, wrong_checks

POINTS = 700
FAULTS = ("kill_before:{}", "kill_after:{}", "lost:{}")
COUNTS = {"object_versions": 6, "delete_markers": 1, "bytes": 5 * 11 + 1, "multipart_uploads": 1}


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("leaving"), most=POINTS) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _small_pages():
    """Several parts of every list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deployment.inventory.PAGE", 3)
        patch.setattr("deployment.exports.PAGE", 2)
        patch.setattr("lineage.archive.PAGE", 3)
        yield


def end(account, tenant):
    """As the command does."""
    departure = account.departure(tenant)
    return departure.certified() or departure.run(0)


def ended(account, plan="", *, keeps=False):
    """A tenant's end under a plan, run again if that killed it; what is wrong with it, and its calls."""
    tenant = account.new(keeps=keeps)
    key = account.key(tenant)
    before = account.neighbour()
    rows = len(account.rows(tenant))
    with install(plan) as process:
        try:
            certificate = end(account, tenant)
        except Killed:
            certificate = None
    wrong = account.violations(tenant, key)
    if certificate is None:
        certificate = end(account, tenant)
    departure = account.departure(tenant)
    wrong += wrong_checks(departure)
    wrong += [] if account.key_state(key) == "PendingDeletion" else ["the key stays"]
    deleted = {name: certificate["deleted"][name] for name in COUNTS}
    wrong += [] if deleted == COUNTS else [f"counted {deleted}"]
    wrong += (
        [] if certificate["deleted"]["ledger_rows"] == rows else [f"counted {certificate['deleted']} of {rows} rows"]
    )
    wrong += [] if certificate["export"]["objects"] == 3 else [f"exported {certificate['export']}"]
    wrong += [] if account.neighbour() == before else ["the neighbour is another"]
    assert departure.certified() == certificate
    return wrong, process


@pytest.fixture(scope="module")
def calls(account):
    """Those of an end without a fault, in which nothing is wrong either."""
    wrong, process = ended(account)
    assert wrong == []
    assert len(process.calls) > 150
    return process.calls


def writing(calls):
    """The numbers of those that change something."""
    reads = ("Get", "Head", "List", "Describe", "Scan", "Query")
    return [number for number, call in enumerate(calls, 1) if not call.partition(".")[2].startswith(reads)]


def swept(account, plans):
    assert plans
    wrong = []
    for plan in plans:
        found, process = ended(account, plan)
        wrong += [f"{plan} ({process.fired}): {each}" for each in found]
    return wrong


@pytest.mark.cloud
@pytest.mark.timeout(300)
def test_whoever_is_killed_at_a_change_or_never_hears_of_it_ends_it_all_the_same(account, calls):
    changes = writing(calls)
    deaths = [f"kill_after:{number}" for number in changes[::8]]
    losses = [f"lost:{number}" for number in changes[4::16]]

    assert swept(account, [*deaths, *losses]) == []


# -- the tests of the test ----------------------------------------------------------------------------------------------


@pytest.mark.cloud
def test_a_key_that_goes_first_is_found(account, monkeypatch):
    still = Offboarding._still

    def key_first(self):
        self.key.schedule(self.folder.document("intent.json"))
        return still(self)

    monkeypatch.setattr(Offboarding, "_still", key_first)
    monkeypatch.setattr(TenantKey, "keep", lambda _self, _intent: None)

    (first, *_) = swept(account, ["kill_before:1@s3.DeleteObjects"])

    assert first.endswith("the key goes, and 7 versions are there")


@pytest.mark.cloud
def test_a_page_that_is_deleted_before_it_is_written_down_is_found(account, monkeypatch):
    add, delete = Parts.add, Inventory._delete

    def never_mind(self, rows):
        if "versions" in self.folder.prefix:
            delete(self.inventory, rows)
        add(self, rows)

    monkeypatch.setattr(Parts, "add", never_mind)
    monkeypatch.setattr(Inventory, "_delete", lambda self, rows: setattr(self.versions, "inventory", self))

    wrong = swept(account, ["kill_after:1@s3.DeleteObjects"])

    assert any(": counted " in each for each in wrong)


@pytest.mark.cloud
def test_rows_that_are_deleted_before_they_are_archived_are_found(account, monkeypatch):
    def forget(self):
        for rows in self.rows.chunks():
            self.rows.delete(rows)
            self.archive.add(rows)
        return 0

    monkeypatch.setattr(Offboarding, "_forget_once", forget)

    wrong = swept(account, ["kill_after:1@dynamodb.BatchWriteItem"])

    assert any(" rows" in each for each in wrong)


@pytest.mark.slow
@pytest.mark.cloud
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
def test_so_does_whoever_is_at_any_call(account, calls, fault, capsys):
    plans = [fault.format(number) for number in range(1, len(calls) + 1)]

    wrong = swept(account, plans)

    assert wrong == []
    with capsys.disabled():
        print(f" {fault}: {len(plans)} points ", end="")
