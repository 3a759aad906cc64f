import pytest

from ingestion.settings import SettingError, Settings


def test_settings_come_back_as_they_were_given_to_the_template():
    settings = Settings(ledger="lake-dev-ledger", dispatch_function="lake-dev-dispatch")

    assert settings.to_environment() == {
        "LAKE_LEDGER": "lake-dev-ledger",
        "LAKE_DISPATCH_FUNCTION": "lake-dev-dispatch",
    }
    assert Settings.from_environment(settings.to_environment()) == settings


def test_every_missing_setting_is_named():
    with pytest.raises(SettingError, match="LAKE_DISPATCH_FUNCTION, LAKE_LEDGER"):
        Settings.from_environment({})
