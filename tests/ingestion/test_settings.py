import pytest

from ingestion.settings import SettingError, Settings, WebhookSettings


def test_settings_come_back_as_they_were_given_to_the_template():
    settings = Settings(
        ledger="lake-dev-ledger",
        dispatch_function="lake-dev-dispatch",
        reconcile_function="lake-dev-reconcile",
        topic="arn:aws:sns:eu-central-1:111122223333:lake-dev-alerts",
        queue="https://sqs.eu-central-1.amazonaws.com/111122223333/lake-dev-arrivals",
        dead_letter_queue="https://sqs.eu-central-1.amazonaws.com/111122223333/lake-dev-arrivals-dead",
        environment="dev",
    )

    assert settings.to_environment() == {
        "LAKE_LEDGER": "lake-dev-ledger",
        "LAKE_DISPATCH_FUNCTION": "lake-dev-dispatch",
        "LAKE_RECONCILE_FUNCTION": "lake-dev-reconcile",
        "LAKE_TOPIC": "arn:aws:sns:eu-central-1:111122223333:lake-dev-alerts",
        "LAKE_QUEUE": "https://sqs.eu-central-1.amazonaws.com/111122223333/lake-dev-arrivals",
        "LAKE_DEAD_LETTER_QUEUE": "https://sqs.eu-central-1.amazonaws.com/111122223333/lake-dev-arrivals-dead",
        "LAKE_ENVIRONMENT": "dev",
    }
    assert Settings.from_environment(settings.to_environment()) == settings
    assert settings.account == "111122223333"


def test_every_missing_setting_is_named():
    with pytest.raises(SettingError, match="LAKE_DEAD_LETTER_QUEUE, LAKE_DISPATCH_FUNCTION, LAKE_TOPIC not set"):
        Settings.from_environment(
            {"LAKE_LEDGER": "l", "LAKE_RECONCILE_FUNCTION": "r", "LAKE_QUEUE": "q", "LAKE_ENVIRONMENT": "dev"}
        )


def test_the_webhook_is_told_where_its_url_stands_and_how_the_chat_wants_it():
    settings = WebhookSettings(webhook_parameter="/lake/dev/webhook", webhook_format="teams")

    assert settings.to_environment() == {
        "LAKE_WEBHOOK_PARAMETER": "/lake/dev/webhook",
        "LAKE_WEBHOOK_FORMAT": "teams",
    }
    assert WebhookSettings.from_environment(settings.to_environment()) == settings
    with pytest.raises(SettingError, match="LAKE_WEBHOOK_FORMAT not set"):
        WebhookSettings.from_environment({"LAKE_WEBHOOK_PARAMETER": "/lake/dev/webhook"})
