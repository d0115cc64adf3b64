"""Settings: unknown ones and typing errors are refused by name, secrets come from files that nobody else reads."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings, SettingsConfigDict

from timebank_kit.files import UnsafeFile, access_list_is_ours, read_secret, write_secret
from timebank_kit.settings import (
    HostPorts,
    ServiceAddress,
    SettingRefused,
    UnknownSetting,
    read_settings,
    refuse_misspelt_rooms,
    secrets_from_files,
)


class Room(BaseSettings):
    """Settings as every room's."""

    model_config = SettingsConfigDict(env_prefix="TIMEBANK_ROOM_", frozen=True, extra="forbid")

    password: str = ""
    key_file: Path | None = None
    peer: ServiceAddress | None = None
    brokers: HostPorts | None = None


def test_a_secret_is_read_from_the_file_that_its_variable_names(tmp_path: Path) -> None:
    write_secret(tmp_path / "password", b"one two\n")
    said = secrets_from_files({"TIMEBANK_ROOM_PASSWORD_FILE": str(tmp_path / "password"), "HOME": "/"}, [Room])
    assert said == {"TIMEBANK_ROOM_PASSWORD": "one two", "HOME": "/"}


def test_a_setting_that_is_a_path_itself_stays_a_path() -> None:
    said = secrets_from_files({"TIMEBANK_ROOM_KEY_FILE": "/run/key"}, [Room])
    assert read_settings(Room, said).key_file == Path("/run/key")


def test_a_secrets_file_that_others_can_read_is_refused_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(UnsafeFile, match=r"TIMEBANK_ROOM_PASSWORD_FILE.*chmod 600"):
        secrets_from_files({"TIMEBANK_ROOM_PASSWORD_FILE": str(tmp_path / "password")}, [Room])


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"\xff", b"a\0b"])
def test_a_secrets_file_that_is_not_one_line_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    write_secret(tmp_path / "password", content)
    with pytest.raises(SettingRefused, match="TIMEBANK_ROOM_PASSWORD_FILE names a file that") as refused:
        secrets_from_files({"TIMEBANK_ROOM_PASSWORD_FILE": str(tmp_path / "password")}, [Room])
    assert "two" not in str(refused.value)


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    write_secret(tmp_path / "password", b"x")
    environ = {"TIMEBANK_ROOM_PASSWORD_FILE": str(tmp_path / "password"), "TIMEBANK_ROOM_PASSWORD": "x"}
    with pytest.raises(SettingRefused, match="both set"):
        secrets_from_files(environ, [Room])


@pytest.mark.parametrize("name", ["TIMEBANK_ROMO_PASSWORD", "TIMEBANK_ROOMS_PASSWORD", "TIMEBANK_ROM_PASSWORD"])
def test_a_misspelt_room_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownSetting, match=f"{name} is no room's setting; did you mean TIMEBANK_ROOM_"):
        refuse_misspelt_rooms({name: "x"}, [Room])


def test_other_programs_variables_are_left_alone() -> None:
    refuse_misspelt_rooms({"TIMEBANK_ROOM_PASSWORD": "x", "TIMEBANK_TEST_KAFKA": "x", "ROMO": "x"}, [Room])


@pytest.mark.parametrize("address", ["127.0.0.1:8101", "ledger", "ftp://ledger", "http://ledger/v1", "http://:80"])
def test_an_address_of_another_form_is_refused_by_the_name_of_its_setting(address: str) -> None:
    with pytest.raises(SettingRefused, match=r"TIMEBANK_ROOM_PEER cannot be used.*http://host:port"):
        read_settings(Room, {"TIMEBANK_ROOM_PEER": address})


@pytest.mark.parametrize("addresses", ["", "kafka:9092", "a:1,b:65535", "[::1]:9092, 127.0.0.1:9092"])
def test_addresses_of_brokers_are_taken_as_they_are_written(addresses: str) -> None:
    assert read_settings(Room, {"TIMEBANK_ROOM_BROKERS": addresses}).brokers == addresses


@pytest.mark.parametrize("addresses", ["kafka", "kafka:", ":9092", "http://kafka:9092", "kafka:65536", "a:1,", "a:٣"])
def test_an_address_of_a_broker_in_another_form_is_refused_by_name(addresses: str) -> None:
    with pytest.raises(SettingRefused, match=r"TIMEBANK_ROOM_BROKERS cannot be used.*host:port"):
        read_settings(Room, {"TIMEBANK_ROOM_BROKERS": addresses})


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return b"\x02\0\0\0" + b"".join(struct.pack("<HHI", *entry) for entry in entries)


OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY = 0xFFFFFFFF


def test_an_access_list_that_names_one_user_is_that_users_alone() -> None:
    lent = access_list((OWNER, 4, NOBODY), (USER, 4, 990), (GROUP, 0, NOBODY), (MASK, 4, NOBODY), (OTHER, 0, NOBODY))
    assert access_list_is_ours(lent, user=990)
    assert not access_list_is_ours(lent, user=991)


@pytest.mark.parametrize("more", [(USER, 4, 991), (GROUP, 4, NOBODY), (NAMED_GROUP, 4, 7), (OTHER, 4, NOBODY)])
def test_an_access_list_that_lets_anybody_else_read_is_not_ours(more: tuple[int, int, int]) -> None:
    assert not access_list_is_ours(access_list((OWNER, 4, NOBODY), (USER, 4, 990), more), user=990)


@pytest.mark.parametrize("damaged", [b"", b"\x02\0\0", b"\x01\0\0\0", b"\x02\0\0\0\x01"])
def test_a_damaged_access_list_is_not_ours(damaged: bytes) -> None:
    assert not access_list_is_ours(damaged, user=os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lend a file as systemd does")
def test_a_secret_that_root_lends_to_one_user_is_read_by_that_user_alone(tmp_path: Path) -> None:
    secret = tmp_path / "journal-url"
    write_secret(secret, b"lent")
    lent = access_list((OWNER, 4, NOBODY), (USER, 4, 65_534), (GROUP, 0, NOBODY), (MASK, 4, NOBODY), (OTHER, 0, NOBODY))
    try:
        os.setxattr(secret, "system.posix_acl_access", lent)
    except OSError:
        pytest.skip("this file system keeps no access lists")
    assert secret.stat().st_mode & 0o777 == 0o440, "the group's bits show the mask"
    with pytest.raises(UnsafeFile, match="chmod 600"):
        read_secret(secret)
    handle = os.open(secret, os.O_RDONLY)
    os.seteuid(65_534)
    try:
        assert read_secret(Path(f"/proc/self/fd/{handle}")) == b"lent"
    finally:
        os.seteuid(0)
        os.close(handle)
