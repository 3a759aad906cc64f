import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import recovery
from cli.connection import Connection
from cli.errors import LakeError
from cli.recovery import DEPLOYED, Recovery, remember, remember_hold
from cli.synthesis import KEY
from deployment.records import Record, Recorded, RecordedOffboarding, Shelf
from local_cloud import losses
from local_cloud.state import Folders
from tenants import registry


@dataclass
class Assembly:
    folder: Path


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_HOME", str(tmp_path / "home"))
    folders = Folders(tmp_path / "home")
    folders.make()
    return folders.home


@pytest.fixture
def assembly(tmp_path):
    (tmp_path / "assembly").mkdir()
    (tmp_path / "assembly" / KEY).write_text("k1")
    return Assembly(tmp_path / "assembly")


def local(environment="local"):
    loaded = registry.load()
    return Connection(loaded, loaded.environment(environment))


def facts(home):
    return json.loads((home / DEPLOYED / "facts.json").read_text())


def test_a_deploy_is_remembered_with_the_registry_as_it_was(home, assembly):
    remember(local(), assembly, ["acme"])

    assert facts(home) == {"tenants": ["acme"], "key": "k1"}
    assert [each.id for each in registry.load(home / DEPLOYED).tenants] == ["acme", "skyline", "bookshop"]


def test_tenants_that_were_deployed_before_are_still_known(home, assembly):
    remember(local(), assembly, ["acme"])
    remember(local(), assembly, ["skyline"])

    assert facts(home)["tenants"] == ["acme", "skyline"]


def test_a_deploy_elsewhere_is_none_of_the_local_clouds(home, assembly):
    remember(local("dev"), assembly, ["acme"])

    assert not (home / DEPLOYED).exists()


def test_what_is_deployed_again_is_not_remembered_as_something_new(home, assembly):
    remember(local(), assembly, ["acme"])
    again = registry.load(home / DEPLOYED)
    assembly.folder.joinpath(KEY).write_text("k2")

    remember(Connection(again, again.environment("local"), home / DEPLOYED), assembly, [])

    assert facts(home)["key"] == "k1"


class Steps(Recovery):
    """A recovery whose steps only say their names; `fails` names the one that does not work."""

    fails: str | None = None
    ended: frozenset[str] = frozenset()

    def _ended(self):
        return self.ended

    def _step(self, name, do):
        def said():
            if name == self.fails:
                raise LakeError("the disk is full")
            done.append(name)
            return ""

        super()._step(name, said)


done: list[str] = []
held: list[str] = []


@contextmanager
def keeping(_connection, tenant, _reason):
    held.append(f"{tenant} held, done: {len(done)}")
    yield
    held.append(f"{tenant} let go, done: {len(done)}")


@pytest.fixture
def loss(home, assembly, monkeypatch):
    done.clear()
    held.clear()
    remember(local(), assembly, ["acme"])
    monkeypatch.setattr(recovery, "running_cloud", lambda: None)
    monkeypatch.setattr("cli.hold.keeping", keeping)
    return losses.note(Folders(home), "killed", set())


ALL = ["past", "stacks", "holds", "objects", "ledger of acme", "files of acme"]


def test_a_recovery_deploys_before_objects_come_back_and_rebuilds_before_it_registers(home, loss):
    Steps(home, loss).run()

    assert done == ALL
    assert list(losses.read(Folders(home)).done) == ALL


def test_a_tenant_is_held_from_before_its_ledger_is_rebuilt_until_its_files_are_registered(home, loss):
    Steps(home, loss).run()

    assert held == ["acme held, done: 4", "acme let go, done: 6"]


def test_a_tenant_whose_end_has_begun_is_not_made_anew(home, loss, assembly, capsys):
    remember(local(), assembly, ["skyline"])
    recovery = Steps(home, loss)
    recovery.ended = frozenset({"acme"})

    recovery.run()

    assert done == ["past", "stacks", "holds", "objects", "ledger of skyline", "files of skyline"]
    assert "left as they are, since their end has begun: acme" in capsys.readouterr().err


def test_whose_end_has_begun_says_the_record(dev, recovered):
    assert recovered._ended() == frozenset()  # not bootstrapped, so nothing was ever deployed

    place, s3 = dev.connection.environment, dev.connection.client("s3")
    bucket = f"cdk-hnb659fds-assets-{place.account}-{place.region}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": place.region})
    begun = RecordedOffboarding("begun", "2026-11-21T12:00:00+00:00", "mycompany-acme-dev-tenant")
    gone, back = (
        RecordedOffboarding("certified", begun.at, f"mycompany-{each}-dev-tenant", certificate="c", sha256="0" * 64)
        for each in ("skyline", "bookshop")
    )
    record = Record({back.stack: Recorded(back.stack, "bookshop", "0" * 64, None, "active", begun.at, "d1")})
    for tenant, end in {"acme": begun, "skyline": gone, "bookshop": back}.items():
        record = record.offboarding(tenant, end)
    Shelf(s3, bucket, "mycompany-dev-platform").write(record, None, 1)

    assert recovered._ended() == {"acme", "skyline"}


def test_no_tenant_is_let_go_before_all_are_there_again(home, loss, assembly):
    remember(local(), assembly, ["skyline"])

    Steps(home, loss).run()

    assert [each.partition(",")[0] for each in held[:2]] == ["acme held", "skyline held"]
    assert sorted(held[2:]) == ["acme let go, done: 8", "skyline let go, done: 8"]


def test_a_recovery_that_failed_goes_on_where_it_was(home, loss):
    failing = Steps(home, loss)
    failing.fails = "ledger of acme"
    with pytest.raises(LakeError, match="ledger of acme: the disk is full; nothing is lost, `lake up` goes on"):
        failing.run()
    done.clear()

    Steps(home, losses.read(Folders(home))).run()

    assert done == ["ledger of acme", "files of acme"]


def test_where_nothing_was_deployed_only_objects_come_back(home, monkeypatch):
    done.clear()

    Steps(home, losses.note(Folders(home), "killed", set())).run()

    assert done == ["objects"]


def test_without_a_loss_nothing_is_done(home):
    recovery.recover()


def test_the_past_is_forgotten_but_for_tenants_datasets_and_holds(dev):
    dev.lake("hold", "acme", "--reason", "audit")
    dev.arrive("a.csv")
    before = dev.connection.ledger.tenant("acme"), dev.connection.ledger.datasets("acme")

    count = recovery._empty(dev.connection.client("dynamodb"), dev.connection.platform.ledger)

    ledger = dev.connection.ledger
    assert count == 3  # version, listing, claim
    assert ledger.files("acme") == []
    assert (ledger.tenant("acme"), ledger.datasets("acme")) == before
    assert ledger.tenant("acme").held_reason == "audit"


def test_holds_are_as_operators_last_wished(dev, home):
    dev.lake("hold", "skyline", "--reason", "before the last clean stop, released since")
    for tenant, reason in (("acme", "first"), ("acme", "audit"), ("skyline", "x"), ("skyline", None)):
        remember_hold(local(), tenant, reason)
    recovered = Recovery(home, losses.note(Folders(home), "killed", set()))
    recovered.connection, recovered.tenants = dev.connection, ["acme", "skyline", "bookshop"]

    said = recovered._hold()

    assert said == "acme held again"
    held = {tenant: dev.connection.ledger.tenant(tenant).held_reason for tenant in recovered.tenants}
    assert held == {"acme": "audit", "skyline": None, "bookshop": None}


def test_a_hold_elsewhere_is_none_of_the_local_clouds(home):
    remember_hold(local("dev"), "acme", "audit")

    assert not (home / "holds.json").exists()


@pytest.fixture
def recovered(dev, home, glue):
    """A recovery of dev's acme, whose runs have left something."""
    made = Recovery(home, losses.note(Folders(home), "killed", set()))
    made.connection = dev.connection
    dev.connection.client("s3").put_object(Bucket=dev.connection.names("acme").bucket, Key="processed/x", Body=b"")
    return made


def test_a_rebuild_whose_run_was_killed_is_asked_for_again(dev, recovered, glue, capsys):
    finishes = glue.job
    glue.job = lambda errand, run: "FAILED" if len(glue.started) < 3 else finishes(errand, run)

    assert recovered._rebuild("acme") == "3 files"

    assert len(glue.started) == 3
    said = capsys.readouterr().err
    assert "jr_1 ended as FAILED: out of memory; asked again, try 2 of 3" in said
    assert "jr_2 ended as FAILED: out of memory; asked again, try 3 of 3" in said


def test_of_a_suspended_tenant_the_boundary_is_off_while_its_ledger_is_rebuilt(dev, recovered, glue, monkeypatch):
    """Its job could do nothing else; it is put back also where the rebuild fails."""
    iam, names = dev.connection.client("iam"), dev.connection.names("acme")
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    iam.create_policy(PolicyName=names.boundary, PolicyDocument=json.dumps(nothing))
    boundary = f"arn:aws:iam::{dev.connection.environment.account}:policy/{names.boundary}"
    iam.create_role(RoleName=names.job_role, AssumeRolePolicyDocument="{}", PermissionsBoundary=boundary)
    suspended = dev.connection.tenant("acme").model_copy(update={"state": "suspended"})
    monkeypatch.setattr(Connection, "tenant", lambda _self, _name: suspended)

    def bound():
        return "PermissionsBoundary" in iam.get_role(RoleName=names.job_role)["Role"]

    seen, finishes = [], glue.job
    glue.job = lambda errand, run: seen.append(bound()) or finishes(errand, run)

    assert recovered._rebuild("acme") == "3 files"
    assert (seen, bound()) == ([False], True)

    glue.job = lambda _errand, _run: "FAILED"
    with pytest.raises(LakeError):
        recovered._rebuild("acme")
    assert bound()


def test_a_rebuild_that_fails_three_times_has_failed(recovered, glue):
    glue.job = lambda _errand, _run: "FAILED"

    with pytest.raises(LakeError, match="jr_3 ended as FAILED: out of memory"):
        recovered._rebuild("acme")

    assert len(glue.started) == 3
