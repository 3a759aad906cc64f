from cdk_app.monitoring import PlatformAlarms, TenantAlarms


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
        "mycompany-prod-reconcile-errors": ("Errors", 1),
    }


def test_every_alarm_goes_to_the_platforms_topic_and_the_cost_of_queries_to_the_owners_too(stack, site, found):
    PlatformAlarms(stack, "Platform", site=site)
    TenantAlarms(
        stack,
        "Tenant",
        site=site,
        rule="mycompany-acme-prod-arrivals",
        jobs={"raw_to_processed": "mycompany-acme-prod-raw-to-processed"},
        workgroup="mycompany-acme-prod",
        bytes_a_day=10**12,
        owner_topic="mycompany-acme-prod-alerts",
    )

    topic = "arn:aws:sns:eu-central-1:777788889999:mycompany"
    alarms = {each["AlarmName"]: each["AlarmActions"] for each in found(stack, "AWS::CloudWatch::Alarm")}
    assert len(alarms) == 8
    assert alarms.pop("mycompany-acme-prod-scanned") == [f"{topic}-prod-alerts", f"{topic}-acme-prod-alerts"]
    assert set(map(tuple, alarms.values())) == {(f"{topic}-prod-alerts",)}
