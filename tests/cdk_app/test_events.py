import aws_cdk as cdk
from aws_cdk import aws_kms as kms

from cdk_app.events import ArrivalRule, Arrivals


def rule(stack, site, found):
    ArrivalRule(
        stack,
        "Rule",
        site=site,
        name="mycompany-acme-prod-arrivals",
        bucket="mycompany-acme-prod-datalake",
        tenant="acme",
    )
    (properties,) = found(stack, "AWS::Events::Rule")
    return properties


def queues(stack, site, found):
    Arrivals(stack, "Arrivals", site=site, key=kms.Key(stack, "Key"), visibility_timeout=cdk.Duration.seconds(360))
    return {each["QueueName"]: each for each in found(stack, "AWS::SQS::Queue")}


def test_a_rule_takes_raw_files_and_commit_objects_of_one_bucket_in_one_account(stack, site, found):
    assert rule(stack, site, found)["EventPattern"] == {
        "source": ["aws.s3"],
        "account": ["777788889999"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": ["mycompany-acme-prod-datalake"]},
            "object": {"key": [{"prefix": "raw/"}, {"wildcard": "processed/*/_commits/*.json"}]},
        },
    }


def test_what_a_rule_cannot_deliver_is_kept(stack, site, found):
    (target,) = rule(stack, site, found)["Targets"]

    assert target["Arn"] == "arn:aws:sqs:eu-central-1:777788889999:mycompany-prod-arrivals"
    assert target["DeadLetterConfig"] == {"Arn": "arn:aws:sqs:eu-central-1:777788889999:mycompany-prod-arrivals-dead"}


def test_the_queue_is_told_whose_each_event_is_so_that_nobodys_burst_holds_up_the_others(stack, site, found):
    (target,) = rule(stack, site, found)["Targets"]

    assert target["SqsParameters"] == {"MessageGroupId": "acme"}


def test_an_event_that_cannot_be_registered_five_times_is_set_aside_for_two_weeks(stack, site, found):
    found_queues = queues(stack, site, found)

    assert found_queues["mycompany-prod-arrivals"]["RedrivePolicy"]["maxReceiveCount"] == 5
    assert found_queues["mycompany-prod-arrivals"]["VisibilityTimeout"] == 360
    assert found_queues["mycompany-prod-arrivals-dead"]["MessageRetentionPeriod"] == 14 * 86_400


def test_both_queues_are_under_the_platforms_key(stack, site, found):
    for queue in queues(stack, site, found).values():
        assert queue["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key961B73FD", "Arn"]}


def test_only_arrival_rules_of_this_environment_may_send(stack, site, found):
    queues(stack, site, found)

    for policy in found(stack, "AWS::SQS::QueuePolicy"):
        plain_text, sender = policy["PolicyDocument"]["Statement"]
        assert plain_text["Effect"] == "Deny"
        assert sender["Principal"] == {"Service": "events.amazonaws.com"}
        assert sender["Action"] == "sqs:SendMessage"
        assert sender["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "777788889999"},
            "ArnLike": {"aws:SourceArn": "arn:aws:events:eu-central-1:777788889999:rule/mycompany-*-prod-arrivals"},
        }
