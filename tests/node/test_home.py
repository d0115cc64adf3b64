"""A node's home: keys that nobody else reads, and nothing half made."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from timebank_contracts.errors import Malformed
from timebank_contracts.names import Identity
from timebank_contracts.note import parse_vkey
from timebank_kit.files import UnsafeFile
from timebank_node.chance import Seeded
from timebank_node.home import KEY_USES, Home, HomeExists, make_home, open_home, read_description

ABERDARE = Identity("timebank.example", "aberdare", "g1")
URL = "http://127.0.0.1:8101"


def make(folder: Path, *, label: str = "home", **changes: Any) -> Home:
    said: dict[str, Any] = {"identity": ABERDARE, "url": URL, "random": Seeded(1, label), **changes}
    return make_home(folder, said.pop("identity"), **said)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    home = make(tmp_path / "a")
    assert {mode(path) for path in (home.folder / "keys").iterdir()} == {0o600}
    assert mode(home.folder / "keys") == 0o700
    assert mode(home.folder) == 0o700, "names and balances lie beside the keys"
    assert len({home.seed(use) for use in KEY_USES}) == len(KEY_USES)


def test_what_is_public_holds_no_secret(tmp_path: Path) -> None:
    home = make(tmp_path / "a")
    text = (home.folder / "node.json").read_bytes() + home.vkey.encode()
    for use in KEY_USES:
        assert home.seed(use) not in text
        assert home.seed(use).hex().encode() not in text
    assert parse_vkey(home.vkey).name == "timebank.example/aberdare/g1"


def test_a_home_opens_as_it_was_made(tmp_path: Path) -> None:
    made = make(tmp_path / "a", limit=60)
    opened = open_home(tmp_path / "a")
    assert opened == made
    assert (opened.identity, opened.described.limit, opened.described.url) == (ABERDARE, 60, URL)


def test_a_home_is_never_made_twice(tmp_path: Path) -> None:
    home = make(tmp_path / "a")
    before = home.seed("event")
    with pytest.raises(HomeExists):
        make(tmp_path / "a", label="other")
    (tmp_path / "a" / "node.json").unlink()
    with pytest.raises(HomeExists):
        make(tmp_path / "a", label="other")
    assert (tmp_path / "a" / "keys" / "event.key").read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": ABERDARE._replace(node="Aberdare")},
        {"identity": ABERDARE._replace(network="wales")},
        {"identity": ABERDARE._replace(node="aberdare\n")},
        {"url": "ftp://x"},
        {"url": "http://x\n"},
        {"url": ""},
        {"limit": -1},
        {"limit": 10**9},
    ],
    ids=str,
)
def test_a_node_that_cannot_be_described_leaves_nothing_behind(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        make(tmp_path / "a", **changes)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("use", KEY_USES)
def test_a_key_that_others_can_read_refuses_the_start(tmp_path: Path, use: str) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / "keys" / f"{use}.key").chmod(0o644)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        open_home(tmp_path / "a")


@pytest.mark.parametrize("use", KEY_USES)
@pytest.mark.parametrize("seed", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_key_refuses_the_start(tmp_path: Path, use: str, seed: bytes) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / "keys" / f"{use}.key").write_bytes(seed)
    with pytest.raises(Malformed, match="damaged"):
        open_home(tmp_path / "a")


@pytest.mark.parametrize("use", ["event", "log"])
def test_another_node_s_key_refuses_the_start(tmp_path: Path, use: str) -> None:
    make(tmp_path / "a")
    other = make(tmp_path / "b", label="other")
    (tmp_path / "a" / "keys" / f"{use}.key").write_bytes(other.seed(use))
    with pytest.raises(Malformed, match=f"The {use} key"):
        open_home(tmp_path / "a")


def test_a_missing_key_refuses_the_start(tmp_path: Path) -> None:
    make(tmp_path / "a")
    (tmp_path / "a" / "keys" / "token.key").unlink()
    with pytest.raises(UnsafeFile):
        open_home(tmp_path / "a")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"network": 1}', "[" * 10_000, '{"network": "timebank.example"}', "\ud800"]
)
def test_a_description_that_is_none_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(Malformed, match="does not describe a node"):
        read_description(tmp_path / "node.json")


def test_a_description_with_another_field_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "a")
    path = tmp_path / "a" / "node.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "secret": "x"}))
    with pytest.raises(Malformed):
        read_description(path)


def test_where_there_is_no_home_the_sentence_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="node init"):
        open_home(tmp_path / "nowhere")
