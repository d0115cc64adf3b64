"""The `timebank` command: what it makes, and that each error is one sentence and exit status 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import open_registry
from timebank_node.cli import app, main
from timebank_node.home import open_home

NODES = {"aberdare": "http://127.0.0.1:8101", "barry": "http://127.0.0.1:8102"}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def made(*words: object) -> str:
    """The output of a command that succeeds."""
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


def init(folder: Path, node: str = "aberdare", network: str = "timebank.example") -> str:
    return made("node", "init", folder, "--network", network, "--node", node, "--url", NODES[node])


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """The signed registry of two nodes, whose homes lie beside it."""
    for node in NODES:
        init(tmp_path / node, node)
    made("keys", "new", tmp_path / "op.key")
    descriptions = [tmp_path / node / "node.json" for node in NODES]
    made("network", "sign", *descriptions, "--operator", tmp_path / "op.key", "--out", tmp_path / "registry.json")
    return tmp_path / "registry.json"


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one sentence on standard error of a command that ends with exit status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.err.startswith("timebank: ")
    assert said.err.count("\n") == 1, "one sentence, no trace"
    return said.err


def test_a_network_of_two_is_made_signed_and_accepted(tmp_path: Path, signed: Path) -> None:
    registry = open_registry(signed.read_bytes(), previous=None)
    assert [node.node for node in registry.nodes] == list(NODES)
    for node in NODES:
        assert registry.sha256 in made("node", "accept", tmp_path / node, signed, "--sha256", registry.sha256)
        assert (tmp_path / node / "registry" / "1.json").read_bytes() == signed.read_bytes()
    assert "version 1" in made("node", "accept", tmp_path / "aberdare", signed), "twice changes nothing"


def test_keys_are_shown_and_secrets_never(tmp_path: Path) -> None:
    shown = init(tmp_path / "a") + made("keys", "show", tmp_path / "a")
    home = open_home(tmp_path / "a")
    assert home.vkey in shown
    assert b64_encode(home.key("event").public) in shown
    shown += made("keys", "new", tmp_path / "op.key") + made("keys", "show", tmp_path / "op.key")
    assert b64_encode(SigningKey((tmp_path / "op.key").read_bytes()).public) in shown
    seeds = [home.seed(use) for use in ("event", "log", "token", "tag")] + [(tmp_path / "op.key").read_bytes()]
    for seed in seeds:
        assert seed.hex() not in shown
        assert b64_encode(seed) not in shown


def test_an_exported_log_is_what_an_auditor_takes(tmp_path: Path, signed: Path) -> None:
    home = tmp_path / "aberdare"
    made("node", "accept", home, signed)
    assert "4 entries" in made("node", "export", home, tmp_path / "log")
    vkey = (tmp_path / "log" / "vkey").read_text().strip()
    assert vkey == open_home(home).vkey
    assert (tmp_path / "log" / "checkpoint").exists()


Prepare = Callable[[Path], list[object]]
REFUSALS: dict[str, tuple[Prepare, str]] = {
    "a home that exists": (
        lambda tmp: [
            "node",
            "init",
            tmp / "aberdare",
            *["--network", "timebank.example", "--node", "xx", "--url", "http://x"],
        ],
        "node already",
    ),
    "a node of another form": (
        lambda tmp: [
            "node",
            "init",
            tmp / "new",
            *["--network", "timebank.example", "--node", "X!", "--url", "http://x"],
        ],
        "node id",
    ),
    "a url of another form": (
        lambda tmp: ["node", "init", tmp / "new", *["--network", "timebank.example", "--node", "xx", "--url", "x"]],
        "described",
    ),
    "a folder under a file": (
        lambda tmp: [
            "node",
            "init",
            tmp / "op.key" / "x",
            *["--network", "t.example", "--node", "xx", "--url", "http://x"],
        ],
        "op.key",
    ),
    "a key that exists": (lambda tmp: ["keys", "new", tmp / "op.key"], "never overwritten"),
    "no home": (lambda tmp: ["keys", "show", tmp], "node init"),
    "a registry that is none": (lambda tmp: ["node", "accept", tmp / "aberdare", tmp / "op.key"], ""),
    "another hash": (
        lambda tmp: ["node", "accept", tmp / "aberdare", tmp / "registry.json", "--sha256", "0" * 64],
        "pinned",
    ),
    "a scope that is none": (lambda tmp: ["client", "add", tmp / "aberdare", "app", "--scope", "all"], "scope"),
    "a node's own scope": (lambda tmp: ["client", "add", tmp / "aberdare", "app", "--scope", "federation"], "scope"),
    "a client of another form": (lambda tmp: ["client", "add", tmp / "aberdare", "App", "--scope", "operate"], "id"),
    "more operators than there are": (
        lambda tmp: [
            *("network", "sign", tmp / "aberdare" / "node.json", "--operator", tmp / "op.key", "--k", 2),
            *("--out", tmp / "other.json"),
        ],
        "k is greater",
    ),
    "an address for everybody": (lambda tmp: ["node", "serve", tmp / "aberdare", "--host", "0.0.0.0"], "127.0.0.1"),
    "a service without its ledger": (lambda tmp: ["serve", "directory", tmp / "aberdare"], "LEDGER_URL"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_error_is_one_sentence_and_exit_status_2(
    tmp_path: Path, signed: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    prepare, word = REFUSALS[case]
    assert word in refusal(capsys, *prepare(tmp_path))


def test_a_registry_of_another_network_or_without_the_node_is_not_kept(
    tmp_path: Path, signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, node, network in (("c", "aberdare", "other.example"), ("d", "barry", "timebank.example")):
        init(tmp_path / folder, node, network)
        described, out = tmp_path / folder / "node.json", tmp_path / f"{folder}.json"
        made("network", "sign", described, "--operator", tmp_path / "op.key", "--out", out)
        assert "does not name" in refusal(capsys, "node", "accept", tmp_path / "aberdare", out)
        assert not list((tmp_path / "aberdare" / "registry").iterdir())


def test_a_registry_that_names_other_keys_for_the_node_is_not_kept(
    tmp_path: Path, signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody else's node of the same name."""
    init(tmp_path / "impostor" / "aberdare")
    assert "event key" in refusal(capsys, "node", "accept", tmp_path / "impostor" / "aberdare", signed)
    assert not list((tmp_path / "impostor" / "aberdare" / "registry").iterdir())


def test_a_world_readable_key_refuses_every_command(
    tmp_path: Path, signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "aberdare" / "keys" / "event.key").chmod(0o644)
    for words in (["keys", "show"], ["node", "serve"], ["serve", "ledger"], ["serve", "federation"]):
        assert "chmod 600" in refusal(capsys, *words, tmp_path / "aberdare")


def test_a_description_is_plain_json_that_an_operator_can_read(tmp_path: Path) -> None:
    init(tmp_path / "a")
    said = json.loads((tmp_path / "a" / "node.json").read_text())
    assert (said["network"], said["node"], said["url"]) == ("timebank.example", "aberdare", NODES["aberdare"])


@pytest.mark.parametrize(
    "words",
    [[], ["node"], ["keys"], ["network"], ["serve"], ["client"], ["node", "init"], ["demo"], ["audit"]],
    ids=str,
)
def test_every_command_helps(words: list[str]) -> None:
    assert "Usage" in made(*words, "--help")
