"""Settings: read once, frozen, and never silently misspelt."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from timebank_kit.settings import SettingRefused, UnknownSetting, read_settings
from timebank_ledger.settings import Settings

GIVEN = {"TIMEBANK_LEDGER_NETWORK": "timebank.example", "TIMEBANK_LEDGER_NODE": "aberdare", "HOME": "/home/x"}


def test_settings_have_defaults_and_are_frozen() -> None:
    settings = read_settings(Settings, GIVEN)
    assert (settings.node, settings.journal_url, settings.queue_limit) == ("aberdare", "memory:", 8_192)
    with pytest.raises(ValidationError):
        settings.node = "barry"


def test_an_unknown_variable_with_our_prefix_is_an_error() -> None:
    with pytest.raises(UnknownSetting, match="TIMEBANK_LEDGER_JURNAL_URL"):
        read_settings(Settings, GIVEN | {"TIMEBANK_LEDGER_JURNAL_URL": "memory:"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE", "Aberdare"),
        ("NETWORK", "timebank"),
        ("QUEUE_LIMIT", "0"),
        ("TOKEN_KEY", "short"),
        ("WAIT_SECONDS_MAX", "31"),
    ],
)
def test_a_setting_out_of_its_range_is_an_error(name: str, value: str) -> None:
    with pytest.raises(SettingRefused):
        read_settings(Settings, GIVEN | {f"TIMEBANK_LEDGER_{name}": value})
