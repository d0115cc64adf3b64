"""`timebank witness`: its folder, its key, the words for the operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.federation.test_witness import registry
from timebank_contracts.errors import Malformed
from timebank_contracts.registry import read_registry
from timebank_kit.files import UnsafeFile
from timebank_node.asked_changes import witness
from timebank_node.commands_witness import accept_for_witness, init_witness, serve_witness
from timebank_node.home import HomeExists
from timebank_node.registry_changes import follow

NAME, URL = "witness.example/w2", "https://witness.example"


def test_what_is_printed_is_a_change_that_the_registry_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init_witness(Console(width=300), tmp_path / "w", name=NAME, url=URL)
    words = next(line for line in capsys.readouterr().out.split("\n") if "--add-witness " in line)
    following = follow(registry(), witness(words.partition("--add-witness ")[2].strip()))
    assert [one.name for one in following.witnesses or []] == ["witness.example/w1", NAME]
    assert (tmp_path / "w" / "keys" / "witness.key").stat().st_mode & 0o077 == 0


def test_a_key_is_never_made_over_another(tmp_path: Path) -> None:
    init_witness(Console(quiet=True), tmp_path, name=NAME, url=URL)
    before = (tmp_path / "keys" / "witness.key").read_bytes()
    with pytest.raises(HomeExists):
        init_witness(Console(quiet=True), tmp_path, name=NAME, url=URL)
    assert (tmp_path / "keys" / "witness.key").read_bytes() == before


@pytest.mark.parametrize(("name", "url"), [("A witness", URL), (NAME, "ftp://witness.example"), ("", URL)])
def test_what_the_registry_would_not_take_is_refused_before_a_key_is_made(tmp_path: Path, name: str, url: str) -> None:
    with pytest.raises(Malformed):
        init_witness(Console(quiet=True), tmp_path, name=name, url=url)
    assert not (tmp_path / "keys").exists()


def test_a_witness_without_key_or_registry_and_one_in_a_home_are_not_served(tmp_path: Path) -> None:
    out = Console(quiet=True)
    with pytest.raises(UnsafeFile):
        serve_witness(out, tmp_path, host="127.0.0.1", port=0)
    init_witness(out, tmp_path, name=NAME, url=URL)
    with pytest.raises(Malformed, match="witness accept"):
        serve_witness(out, tmp_path, host="127.0.0.1", port=0)
    (tmp_path / "node.json").write_text("{}", "ascii")
    with pytest.raises(Malformed, match="node serve"):
        serve_witness(out, tmp_path, host="127.0.0.1", port=0)


def test_a_registry_that_is_not_signed_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "registry.json"
    file.write_bytes(b"{}")
    with pytest.raises(Malformed):
        accept_for_witness(Console(quiet=True), tmp_path / "w", [file], pinned=None)
    with pytest.raises(Malformed):
        read_registry(b"{}")
