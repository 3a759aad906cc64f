from aws_cdk import aws_kms as kms

from cdk_app.monitoring import Alerts, PlatformAlarms, TenantAlarms


def test_alarms_and_rules_of_this_account_may_publish_and_nobody_else(stack, site, found):
    Alerts(stack, "Alerts", site=site, key=kms.Key(stack, "Key"))

    (policy,) = found(stack, "AWS::SNS::TopicPolicy")
    publishers = {
        each["Principal"]["Service"]: each["Condition"]["StringEquals"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow"
    }
    assert publishers == {
        "cloudwatch.amazonaws.com": {"aws:SourceAccount": "777788889999"},
        "events.amazonaws.com": {"aws:SourceAccount": "777788889999"},
    }


def test_the_operators_address_is_no_part_of_a_logical_id(stack, site, found):
    Alerts(stack, "Alerts", site=site, key=kms.Key(stack, "Key"))

    (subscription,) = found(stack, "AWS::SNS::Subscription")
    assert subscription["Endpoint"] == "platform@mycompany.example"
    assert subscription["Protocol"] == "email"


def test_a_failed_job_of_any_tenant_is_told(stack, site, found):
    Alerts(stack, "Alerts", site=site, key=kms.Key(stack, "Key"))

    (rule,) = found(stack, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["state"] == ["FAILED", "TIMEOUT", "ERROR"]


def test_the_platform_alarms_on_dead_letters_backlog_and_errors(stack, site, found):
    PlatformAlarms(stack, "Alarms", site=site)

    alarms = {
        each["AlarmName"]: (each["MetricName"], each["Threshold"]) for each in found(stack, "AWS::CloudWatch::Alarm")
    }
    assert alarms == {
        "mycompany-prod-arrivals-dead-not-empty": ("ApproximateNumberOfMessagesVisible", 1),
        "mycompany-prod-arrivals-age": ("ApproximateAgeOfOldestMessage", 900),
        "mycompany-prod-register-errors": ("Errors", 1),
        "mycompany-prod-dispatch-errors": ("Errors", 1),
    }


def test_every_alarm_goes_to_the_topic(stack, site, found):
    PlatformAlarms(stack, "Platform", site=site)
    TenantAlarms(
        stack,
        "Tenant",
        site=site,
        rule="mycompany-acme-prod-arrivals",
        jobs={"raw_to_processed": "mycompany-acme-prod-raw-to-processed"},
        workgroup="mycompany-acme-prod",
        bytes_a_day=10**12,
    )

    alarms = found(stack, "AWS::CloudWatch::Alarm")
    assert len(alarms) == 7
    assert {str(each["AlarmActions"]) for each in alarms} == {
        "['arn:aws:sns:eu-central-1:777788889999:mycompany-prod-alerts']"
    }
