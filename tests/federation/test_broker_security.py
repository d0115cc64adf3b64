"""Credentials at the broker: what is incomplete or open to others stops the start, with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.servers.certificates import Authority
from timebank_federation.broker_security import PLAIN, read_security
from timebank_federation.settings import FederationSettings
from timebank_kit.files import UnsafeFile, write_secret
from timebank_kit.settings import SettingRefused, read_settings

PREFIX = "TIMEBANK_FEDERATION_KAFKA_"


def read(**given: object) -> object:
    said = {f"{PREFIX}{name}": str(value) for name, value in given.items()}
    return read_security(read_settings(FederationSettings, said))


@pytest.fixture
def password(tmp_path: Path) -> Path:
    write_secret(tmp_path / "password", b"secret\n")
    return tmp_path / "password"


def test_nothing_is_the_default() -> None:
    assert read() == PLAIN
    assert PLAIN.client_settings() == {"security_protocol": "PLAINTEXT"}


def test_scram_settings_are_what_the_client_wants(tmp_path: Path, password: Path) -> None:
    authority = Authority(tmp_path).certificate
    security = read_security(
        read_settings(
            FederationSettings,
            {
                f"{PREFIX}SECURITY_PROTOCOL": "SASL_SSL",
                f"{PREFIX}CA_FILE": str(authority),
                f"{PREFIX}USER": "barry",
                f"{PREFIX}PASSWORD_FILE": str(password),
            },
        )
    )
    assert security.client_settings() == {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(authority),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "barry",
        "sasl_plain_password": "secret",
    }
    assert "secret" not in repr(security)


def test_certificate_settings_are_what_the_client_wants(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("barry")
    security = read_security(
        read_settings(
            FederationSettings,
            {
                f"{PREFIX}SECURITY_PROTOCOL": "SSL",
                f"{PREFIX}CERTIFICATE_FILE": str(pair.certificate),
                f"{PREFIX}KEY_FILE": str(pair.key),
            },
        )
    )
    assert security.client_settings() == {
        "security_protocol": "SSL",
        "ssl_cafile": None,
        "ssl_certfile": str(pair.certificate),
        "ssl_keyfile": str(pair.key),
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"USER": "barry"}, "SECURITY_PROTOCOL to SSL or SASL_SSL"),
        ({"SECURITY_PROTOCOL": "SSL"}, "CERTIFICATE_FILE and .*KEY_FILE: set them"),
        ({"SECURITY_PROTOCOL": "SSL", "KEY_FILE": "k"}, "together, or neither"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "set .*USER and .*PASSWORD_FILE"),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "USER": "barry"}, "set .*USER and .*PASSWORD_FILE"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "SECURITY_PROTOCOL cannot be used"),
    ],
)
def test_an_incomplete_choice_is_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingRefused, match=sentence):
        read(**given)


def test_a_user_beside_a_certificate_alone_is_refused(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("barry")
    with pytest.raises(SettingRefused, match="count with SASL_SSL only"):
        read(SECURITY_PROTOCOL="SSL", CERTIFICATE_FILE=pair.certificate, KEY_FILE=pair.key, USER="barry")


def test_a_password_file_that_others_can_read_is_refused(password: Path) -> None:
    password.chmod(0o640)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        read(SECURITY_PROTOCOL="SASL_SSL", USER="barry", PASSWORD_FILE=password)


def test_an_empty_password_file_is_refused(tmp_path: Path) -> None:
    write_secret(tmp_path / "empty", b"\n")
    with pytest.raises(SettingRefused, match="an empty file"):
        read(SECURITY_PROTOCOL="SASL_SSL", USER="barry", PASSWORD_FILE=tmp_path / "empty")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("barry")
    pair.key.chmod(0o644)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        read(SECURITY_PROTOCOL="SSL", CERTIFICATE_FILE=pair.certificate, KEY_FILE=pair.key)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    barry, aberdare = authority.issue("barry"), authority.issue("aberdare")
    with pytest.raises(SettingRefused, match="no certificate with its unencrypted key"):
        read(SECURITY_PROTOCOL="SSL", CERTIFICATE_FILE=barry.certificate, KEY_FILE=aberdare.key)


def test_a_file_without_certificates_is_refused(password: Path) -> None:
    with pytest.raises(SettingRefused, match="without certificates in PEM"):
        read(SECURITY_PROTOCOL="SASL_SSL", USER="barry", PASSWORD_FILE=password, CA_FILE=password)
