"""Ends of tenants in an emulated account, in whatever state somebody has left them."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from cli.errors import LakeError, WrongInput
from cli.offboarding import offboard
from deployment.certificates import seal_of
from deployment.errors import DeployError, Locked
from deployment.locks import Holder, Lock
from deployment.parts import Folder
from deployment.records import Record
from lineage import table
from tests.faults.leaving import LONG_AGO, NEIGHBOUR, TAKEOUT, opened, tags_of, wrong_checks

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("ends"), most=40) as found:
        yield found


def end(account, tenant, export=None):
    """Its certificate, which holds."""
    certificate = account.departure(tenant, export).run(0)
    assert list(wrong_checks(account.departure(tenant))) == []
    return certificate


def deleted(certificate):
    return {name: value for name, value in certificate["deleted"].items() if name != "resources"}


@contextmanager
def once_after(account, service, operation, do):
    """What somebody else does right after the first such call."""
    events, name, done = account.client(service).meta.events, f"after-call.{service}.{operation}", []

    def react(**_):
        if not done:
            done.append(operation)
            do()

    events.register(name, react)
    yield
    events.unregister(name, react)
    assert done


@contextmanager
def once_written(account, ending, do):
    """What somebody else does just before such an object is written among what is known of an end."""
    events, done = account.client("s3").meta.events, []

    def react(params, **_):
        if params["Key"].endswith(ending) and not done:
            done.append(ending)
            do()

    events.register("provide-client-params.s3.PutObject", react)
    yield
    events.unregister("provide-client-params.s3.PutObject", react)
    assert done


def test_a_tenant_without_an_object_ends_as_any_other(account):
    certificate = end(account, account.new(objects=0))

    assert deleted(certificate)["object_versions"] == 0
    assert certificate["export"]["objects"] == 0


def test_what_an_account_with_real_data_retains_is_removed_piece_by_piece(account):
    tenant = account.new(keeps=True)
    names = account.connection.names(tenant)

    certificate = end(account, tenant)

    # The stack knew of them and left them behind; what the neighbour has stands.
    assert {"kind": "AWS::S3::Bucket", "name": names.bucket} in certificate["deleted"]["resources"]
    assert account.versions(NEIGHBOUR)
    assert account.key_state(account.key(NEIGHBOUR)) == "Enabled"


def an_uploader(account):
    """S3 as a role sees it that may do everything there; the emulator lets root do anything at all."""
    iam, trust = account.client("iam"), {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    arn = iam.create_role(
        RoleName="uploader", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="uploader", PolicyName="all", PolicyDocument=document)
    given = account.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "s3",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def test_an_upload_is_refused_as_soon_as_it_has_begun(account):
    tenant = account.new()
    s3, bucket = an_uploader(account), account.connection.names(tenant).bucket
    s3.put_object(Bucket=bucket, Key="raw/early.csv", Body=b"1")
    tried = []

    def upload():
        for do in (s3.put_object, s3.create_multipart_upload):
            try:
                do(Bucket=bucket, Key="raw/late.csv")
            except s3.exceptions.ClientError as error:
                tried.append(error.response["Error"]["Code"])

    with once_after(account, "s3", "PutBucketPolicy", upload):
        certificate = end(account, tenant)

    assert tried == ["AccessDenied", "AccessDenied"]
    assert (deleted(certificate)["object_versions"], deleted(certificate)["multipart_uploads"]) == (7, 1)


def test_what_comes_in_after_the_stack_took_its_policy_along_is_deleted_and_counted(account):
    tenant = account.new(keeps=True)
    s3, bucket = account.client("s3"), account.connection.names(tenant).bucket

    def upload():
        s3.delete_bucket_policy(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="raw/late.csv", Body=b"late")

    with once_after(account, "cloudformation", "DeleteStack", upload):
        certificate = end(account, tenant)

    assert deleted(certificate) == {
        "object_versions": 7,
        "delete_markers": 1,
        "bytes": 60,
        "multipart_uploads": 1,
        "ledger_rows": deleted(certificate)["ledger_rows"],
    }


def test_a_row_that_is_written_after_all_were_archived_is_archived_too(account):
    tenant = account.new()
    rows = len(account.rows(tenant))
    late = {
        table.PARTITION_KEY: {"S": f"T#{tenant}#N"},
        table.SORT_KEY: {"S": "late#1"},
        "kind": {"S": "notice"},
        "again_at": {"S": "2026"},
    }

    with once_written(account, "/forgotten.json", lambda: account.store.put_raw([late])):
        certificate = end(account, tenant)

    assert deleted(certificate)["ledger_rows"] == rows + 1


def test_a_stack_that_somebody_has_deleted_already_leaves_its_bucket_and_key_to_be_found(account):
    tenant = account.new(keeps=True)
    key, names = account.key(tenant), account.connection.names(tenant)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    account.client("s3").put_bucket_encryption(Bucket=names.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    gone(account, names.stack)

    certificate = end(account, tenant)

    assert certificate["key"]["arn"] == key
    assert account.key_state(key) == "PendingDeletion"
    assert {"kind": "bucket", "name": names.bucket} in certificate["deleted"]["resources"]
    assert deleted(certificate)["object_versions"] == 6


def gone(account, stack):
    cloudformation = account.client("cloudformation")
    cloudformation.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 0.01})


def test_a_key_that_somebody_has_scheduled_already_is_got_back_while_there_is_something_to_read(account):
    tenant = account.new()
    key, states = account.key(tenant), []
    account.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)

    with once_after(account, "s3", "PutBucketPolicy", lambda: states.append(account.key_state(key))):
        end(account, tenant)

    assert states == ["Enabled"]
    assert account.key_state(key) == "PendingDeletion"


def test_a_bucket_that_is_gone_is_no_export(account):
    tenant = account.new(objects=0)
    account.client("s3").delete_bucket(Bucket=account.connection.names(tenant).bucket)

    with pytest.raises(DeployError, match=r"-datalake: is gone, and was to be exported to s3://takeout/local/t0"):
        account.departure(tenant).run(0)


def test_an_export_to_a_place_that_is_not_there_deletes_nothing(account, monkeypatch):
    tenant = account.new()
    departure = account.departure(tenant)
    elsewhere = departure.terms.model_copy(update={"export": "s3://nowhere-to-be-found/"})
    monkeypatch.setattr(type(departure), "terms", elsewhere)

    assert departure.prospect()["refused"].startswith("bucket nowhere-to-be-found, to which ")
    with pytest.raises(
        DeployError, match=r"to s3://nowhere-to-be-found/local/t[0-9]+/1/ \(account 000000000000\): NoSuchBucket"
    ):
        departure.run(0)

    # It has not even begun: there is a way back.
    assert tenant not in departure.shelf.read()[0].offboardings
    assert departure.top.names() == ["lock.json"]
    assert len(account.versions(tenant)) == 7


def test_until_all_is_exported_another_place_may_be_named_and_the_certificate_says_so(account, monkeypatch):
    tenant, s3 = account.new(), account.client("s3")
    departure = account.departure(tenant)
    s3.create_bucket(Bucket="first-choice")
    first = departure.terms.model_copy(update={"export": "s3://first-choice/"})

    def gone():
        for each in s3.list_objects_v2(Bucket="first-choice")["Contents"]:
            s3.delete_object(Bucket="first-choice", Key=each["Key"])
        s3.delete_bucket(Bucket="first-choice")

    with monkeypatch.context() as patch, once_after(account, "s3", "PutBucketPolicy", gone):
        patch.setattr(type(departure), "terms", first)
        with pytest.raises(DeployError, match=r"NoSuchBucket; .* another place may be named"):
            account.departure(tenant).run(0)

    certificate = end(account, tenant, "s3://takeout")

    assert certificate["export"]["to"] == f"s3://takeout/local/{tenant}/1/"
    assert certificate["export"]["objects"] == 3
    (amendment,) = certificate["amendments"]
    assert (amendment["export"], amendment["export_account"]) == ("s3://takeout/", "000000000000")


def test_after_its_bucket_is_gone_a_tenant_may_say_that_nothing_is_exported(account, monkeypatch):
    tenant = account.new(objects=0)
    departure = account.departure(tenant)
    nothing = departure.terms.model_copy(update={"export": None, "export_account": None})
    account.client("s3").delete_bucket(Bucket=account.connection.names(tenant).bucket)
    with pytest.raises(DeployError, match="say `export: none`"):
        departure.run(0)

    says(monkeypatch, departure, nothing)
    certificate = end(account, tenant, "none")

    assert certificate["export"] == {"to": None}


def says(monkeypatch, departure, terms):
    """What another checkout of tenants.yaml would."""
    other = departure.tenant.model_copy(update={"offboarding": terms})
    monkeypatch.setattr(type(departure), "tenant", other)


def test_once_it_has_begun_no_other_checkout_decides_about_the_export_without_a_word(account, monkeypatch):
    tenant = account.new()
    departure = account.departure(tenant)
    first, versions = departure.terms, account.versions(tenant)
    nothing = first.model_copy(update={"export": None, "export_account": None})
    refuse_export(account, monkeypatch, departure)

    with monkeypatch.context() as stale:
        says(stale, departure, nothing)
        refused = account.departure(tenant).prospect()["refused"]
        with pytest.raises(LakeError, match="--export none as well, else take the file with which it began"):
            account.departure(tenant).run(0)
        with pytest.raises(WrongInput, match=r"tenants.yaml says `export: none` for tenant"):
            account.departure(tenant, "s3://takeout/").run(0)
    with pytest.raises(WrongInput, match=r"--export none: tenants.yaml says `export: s3://takeout/`"):
        account.departure(tenant, "none").run(0)

    assert (
        f"the end of tenant {tenant} has begun with `export: s3://takeout/, export_account: 000000000000`, and "
        "tenants.yaml says `export: none`"
    ) in refused
    assert len(account.versions(tenant)) == len(versions)
    assert departure.folder(departure.shelf.read()[0]).get("amendment-001.json") is None
    certificate = end(account, tenant)
    assert (certificate["export"]["objects"], certificate["amendments"]) == (3, [])


def refuse_export(account, monkeypatch, departure):
    """It begins, and its export fails."""

    def fail(_export):
        raise DeployError("AccessDenied")

    with monkeypatch.context() as patch:
        patch.setattr("deployment.exports.Export.run", fail)
        with pytest.raises(DeployError, match="AccessDenied"):
            account.departure(departure.id).run(0)


def test_the_command_hands_on_what_it_is_told_about_the_export(account, monkeypatch):
    monkeypatch.setattr("cli.offboarding.connect", lambda *_: account.connection)

    with pytest.raises(WrongInput, match=r"--export none: tenants.yaml says"):
        offboard(account.new(), "local", export="none", dry_run=True)


def test_an_amendment_holds_as_the_first_word_did(account, monkeypatch):
    tenant = account.new()
    departure = account.departure(tenant)
    first = departure.terms
    second = first.model_copy(update={"export": "s3://takeout/second/"})
    refuse_export(account, monkeypatch, departure)
    with monkeypatch.context() as amended:
        says(amended, departure, second)
        amended.setattr("deployment.exports.Export.run", lambda _export: (_ for _ in ()).throw(DeployError("again")))
        with pytest.raises(DeployError, match="again"):
            account.departure(tenant, "s3://takeout/second/").run(0)

    with pytest.raises(LakeError, match=r"begun with `export: s3://takeout/second/, .* tenants.yaml says .*takeout/,"):
        account.departure(tenant).run(0)

    with monkeypatch.context() as amended:
        says(amended, departure, second)
        assert end(account, tenant)["export"]["to"] == f"s3://takeout/second/local/{tenant}/1/"


def test_who_died_before_the_intent_was_written_is_held_to_what_was_deployed(account, monkeypatch):
    tenant = account.new()
    departure = account.departure(tenant)
    nothing = departure.terms.model_copy(update={"export": None, "export_account": None})

    def die(*_):
        raise DeployError("died")

    with monkeypatch.context() as patch:
        patch.setattr("deployment.offboarding.Offboarding.begin", die)
        with pytest.raises(DeployError, match="died"):
            account.departure(tenant).run(0)

    with monkeypatch.context() as stale:
        says(stale, departure, nothing)
        with pytest.raises(LakeError, match=r"has begun with `export: s3://takeout/, .*--export none as well"):
            account.departure(tenant).run(0)
    assert end(account, tenant)["export"]["objects"] == 3


def test_once_all_is_exported_no_other_place_is_taken_for_granted(account, monkeypatch):
    tenant = account.new()
    departure = account.departure(tenant)
    second = departure.terms.model_copy(update={"export": "s3://takeout/second/"})

    def die(*_):
        raise DeployError("died")

    with monkeypatch.context() as patch:
        patch.setattr("deployment.inventory.Inventory.empty", die)
        with pytest.raises(DeployError, match="died"):
            account.departure(tenant).run(0)

    with monkeypatch.context() as late:
        says(late, departure, second)
        with pytest.raises(LakeError, match=r"is exported already, by `export: s3://takeout/, .* another place cannot"):
            account.departure(tenant, "s3://takeout/second/").run(0)
        assert end(account, tenant)["export"]["to"] == f"s3://takeout/local/{tenant}/1/"


def test_two_tenants_may_name_one_place(account):
    one, other = account.new(), account.new()
    s3 = account.client("s3")

    first, second = end(account, one), end(account, other)

    assert first["export"]["to"] != second["export"]["to"]
    for certificate in (first, second):
        key = f"{certificate['export']['to'].removeprefix('s3://takeout/')}data/raw/orders/0.csv"
        assert s3.get_object(Bucket=TAKEOUT, Key=key)["Body"].read() == b"order_id\n2\n"
    assert list(wrong_checks(account.departure(one))) == []


def test_what_is_not_taken_along_is_told(account):
    certificate = end(account, account.new())

    assert certificate["export"]["left_behind"] == {"older_or_late_versions": 2, "query_results": 1}
    kept = [each for each in certificate["remains"] if each["where"] == certificate["folder"]]
    assert [each["until"] for each in kept] == ["somebody deletes them"]


def test_what_somebody_writes_over_at_the_target_is_seen_and_exported_anew(account):
    tenant = account.new()
    s3 = account.client("s3")

    def spoil():
        s3.put_object(Bucket=TAKEOUT, Key=f"local/{tenant}/1/data/raw/orders/0.csv", Body=b"spoilt")

    with (
        once_written(account, "/export-1/000000.ndjson.gz", spoil),
        pytest.raises(DeployError, match=r"0.csv: has 6 bytes .* somebody has written over it; nothing was deleted"),
    ):
        account.departure(tenant).run(0)
    assert len(account.versions(tenant)) == 7

    certificate = end(account, tenant)

    assert certificate["export"]["objects"] == 3
    assert (
        s3.get_object(Bucket=TAKEOUT, Key=f"local/{tenant}/1/data/raw/orders/0.csv")["Body"].read() == b"order_id\n2\n"
    )


def test_what_was_made_beside_goes_with_the_tenants_own_things_and_stays_anywhere_else(account):
    """A table that an analyst made in the tenant's database goes; what has a name like the tenant's is not touched."""
    tenant = account.new()
    names, glue = account.connection.names(tenant), account.client("glue")
    beside = f"{names.database}_reports"
    glue.create_table(DatabaseName=names.database, TableInput={"Name": "my_own"})
    glue.create_database(DatabaseInput={"Name": beside})
    glue.create_table(DatabaseName=beside, TableInput={"Name": "kept"})
    account.client("s3").create_bucket(Bucket=f"{names.bucket}-reports")
    account.client("logs").create_log_group(logGroupName=f"{names.log_group}-reports/output")
    account.client("sns").create_topic(Name=f"{names.topic}-reports")

    end(account, tenant)

    assert [each["Name"] for each in glue.get_tables(DatabaseName=beside)["TableList"]] == ["kept"]
    account.client("s3").head_bucket(Bucket=f"{names.bucket}-reports")
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=names.log_group)["logGroups"]
    assert [each["logGroupName"] for each in groups] == [f"{names.log_group}-reports/output"]
    topics = [each["TopicArn"].rpartition(":")[2] for each in account.client("sns").list_topics()["Topics"]]
    assert f"{names.topic}-reports" in topics
    assert names.topic not in topics


# -- who may ------------------------------------------------------------------------------------------------------------


def test_nobody_begins_before_the_grace_is_over_or_without_a_deploy(account):
    tenant = account.new()
    departure = account.departure(tenant)
    known = departure.shelf.read()[0].stacks[departure.stack]
    now = datetime.now(UTC)

    def refusal(**changed):
        return departure.refusal(Record({departure.stack: replace(known, **changed)}), now)

    assert refusal() is None
    assert "its grace is 30 days" in refusal(since=(now - timedelta(days=29)).isoformat())
    assert "is not deployed as `offboarding` in local" in refusal(state="suspended")
    assert "is not deployed as `offboarding` in local" in refusal(since=None)
    assert "is not deployed as `offboarding` in local" in departure.refusal(Record(), now)
    assert refusal(since=LONG_AGO) is None
    assert "is not that which was deployed in local" in refusal(terms=known.terms.replace('"grace":30', '"grace":60'))
    assert "is `active` by tenants.yaml" in account.departure(NEIGHBOUR).refusal(Record(), now)


def test_who_is_refused_changes_nothing(account):
    with pytest.raises(LakeError, match=r"tenant stays is `active` by tenants\.yaml"):
        account.departure(NEIGHBOUR).run(0)

    assert NEIGHBOUR not in account.departure(NEIGHBOUR).shelf.read()[0].offboardings
    assert account.departure(NEIGHBOUR).top.names() == ["lock.json"]


def test_one_of_two_at_once_is_told_of_the_other(account, monkeypatch):
    tenant = account.new()
    departure = account.departure(tenant)
    monkeypatch.setattr("cli.departure.is_dead", lambda _process: False)
    folder = departure.top.prefix.removeprefix("deployments/").rstrip("/")
    other = Lock(
        departure.s3, departure.shelf.bucket, folder, Holder("jane@laptop", "here"), doing=f"offboarding {tenant}"
    )
    other.take()

    with pytest.raises(Locked, match=f"jane@laptop has been offboarding {tenant} since"):
        departure.run(0)

    assert len(account.versions(tenant)) == 7


def test_runs_in_flight_are_waited_for_and_then_named(account):
    tenant = account.new()
    departure = account.departure(tenant)
    offboarding = departure._offboarding(Folder(departure.s3, departure.shelf.bucket, "tried/"))
    job = departure.place.jobs[0]
    states = iter(["RUNNING", "STOPPING", "SUCCEEDED", "RUNNING"])

    class Glue:
        def get_job_runs(self, JobName):
            return {"JobRuns": [{"Id": "jr_1", "JobRunState": next(states)}] if JobName == job else []}

    slept = []
    offboarding.clients = lambda _service: Glue()
    offboarding.sleep = slept.append
    offboarding._wait()
    assert slept == [5.0, 5.0]

    offboarding.patience = 0
    with pytest.raises(DeployError, match=f"run jr_1 of {job} still in flight after 0 s; nothing was deleted"):
        offboarding._wait()


def test_an_id_that_came_back_ends_once_more_in_a_folder_of_its_own(account):
    tenant = account.new()
    first = end(account, tenant)
    departure = account.departure(tenant)
    account.settle(tenant)
    record, etag = departure.shelf.read()
    back = record.having(account._recorded(tenant))
    departure.shelf.write(back, etag, record.fence)

    assert departure.certified() is None
    second = end(account, tenant)

    assert (first["folder"][-3:], second["folder"][-3:]) == ("/1/", "/2/")
    assert deleted(second) == deleted(first)


# -- what a certificate is worth ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certified(account):
    tenant = account.new()
    account.departure(tenant).run(0)
    return account.departure(tenant)


def wrong(departure, change=lambda certificate: certificate):
    """Which checks find something, of the certificate or a changed one."""
    record = departure.shelf.read()[0]
    body = departure.s3.get_object(Bucket=departure.shelf.bucket, Key=record.offboardings[departure.id].certificate)[
        "Body"
    ].read()
    told = json.loads(body)
    changed = change(json.loads(body))
    body = body if changed == told else json.dumps(changed).encode()
    return [each.what for each in departure.verification(body, record).checks() if not each.is_right]


def test_a_certificate_that_somebody_has_edited_does_not_hold(certified):
    assert wrong(certified) == []

    def edited(certificate):
        return certificate | {"requested_by": "someone@else.example"}

    def sealed_anew(certificate):
        changed = edited(certificate)
        return changed | {"sha256": seal_of(changed)}

    assert wrong(certified, edited) == ["seal", "kept copy", "record of deploys"]
    assert wrong(certified, sealed_anew) == ["kept copy", "record of deploys"]


def test_a_certificate_of_a_rehearsal_is_none_of_an_account(certified):
    def rehearsed(certificate):
        changed = certificate | {"rehearsal": True}
        return changed | {"sha256": seal_of(changed)}

    assert wrong(certified, rehearsed)[0] == "rehearsal"


def test_what_stands_again_is_found(account, certified):
    names = account.connection.names(certified.id)
    account.client("s3").create_bucket(Bucket=names.bucket)
    account.client("logs").create_log_group(logGroupName=f"{names.log_group}/error")
    row = {table.PARTITION_KEY: {"S": f"T#{certified.id}#G"}, table.SORT_KEY: {"S": "a>b"}}
    account.store.put_raw([row])

    assert wrong(certified) == ["log group", "bucket", "ledger rows"]

    account.client("s3").delete_bucket(Bucket=names.bucket)
    account.client("logs").delete_log_group(logGroupName=f"{names.log_group}/error")
    account.store.delete_all([(f"T#{certified.id}#G", "a>b")])
    assert wrong(certified) == []


def test_a_key_that_was_got_back_is_found(account, certified):
    key = json.loads(
        certified.s3.get_object(
            Bucket=certified.shelf.bucket, Key=certified.shelf.read()[0].offboardings[certified.id].certificate
        )["Body"].read()
    )["key"]["arn"]
    account.client("kms").cancel_key_deletion(KeyId=key)

    assert wrong(certified) == ["key"]

    account.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=30)


def test_a_key_of_the_tenants_that_stays_beside_is_found(account, certified):
    kms, tags = account.client("kms"), tags_of(account.connection.names(certified.id))
    tags = [{"TagKey": each["Key"], "TagValue": each["Value"]} for each in tags]
    beside = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]

    assert wrong(certified) == ["key"]

    kms.schedule_key_deletion(KeyId=beside, PendingWindowInDays=7)
    assert wrong(certified) == []


def test_a_list_or_an_export_that_somebody_has_changed_is_found(account, certified):
    s3, state = certified.s3, certified.shelf.bucket
    record = certified.shelf.read()[0]
    folder = record.offboardings[certified.id].certificate.rpartition("/")[0]
    kept = {
        (bucket, key): s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for bucket, key in (
            (state, f"{folder}/ledger/000000.ndjson.gz"),
            (state, f"{folder}/versions/000000.ndjson.gz"),
            (TAKEOUT, f"local/{certified.id}/1/manifest.json"),
        )
    }
    s3.put_object(Bucket=state, Key=f"{folder}/ledger/000000.ndjson.gz", Body=b"not even a list")
    s3.delete_object(Bucket=state, Key=f"{folder}/versions/000000.ndjson.gz")
    s3.put_object(Bucket=TAKEOUT, Key=f"local/{certified.id}/1/manifest.json", Body=b"{}")

    assert wrong(certified) == ["list of inventory", "list of ledger", "export"]

    s3.delete_object(Bucket=TAKEOUT, Key=f"local/{certified.id}/1/manifest.json")
    assert wrong(certified) == ["list of inventory", "list of ledger"]  # to delete its export is the tenant's right

    for (bucket, key), body in kept.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert wrong(certified) == []


@pytest.mark.parametrize("code", ["InvalidObjectState", "KMS.DisabledException", "KMS.NotFoundException"])
def test_an_export_that_the_tenant_has_archived_or_locked_is_not_looked_at(certified, monkeypatch, code):
    def refuse(**_):
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "GetObject")

    verification = a_verification(certified)
    monkeypatch.setattr(verification.export, "get_object", refuse)

    (check,) = [each for each in verification.checks() if each.what == "export"]

    assert check.is_right
    assert check.found.startswith("not looked at: s3://takeout/local/")
    assert check.found.endswith(f"({code})")


def test_an_export_that_s3_fails_to_show_is_an_error(certified, monkeypatch):
    def fail(**_):
        raise ClientError({"Error": {"Code": "Internal"}, "ResponseMetadata": {"HTTPStatusCode": 500}}, "GetObject")

    verification = a_verification(certified)
    monkeypatch.setattr(verification.export, "get_object", fail)

    with pytest.raises(ClientError, match="Internal"):
        list(verification.checks())


def a_verification(departure):
    record = departure.shelf.read()[0]
    key = record.offboardings[departure.id].certificate
    body = departure.s3.get_object(Bucket=departure.shelf.bucket, Key=key)["Body"].read()
    return departure.verification(body, record)
