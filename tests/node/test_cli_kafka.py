"""`timebank kafka` where no broker is at hand: the plan, and what is refused with one sentence and exit status 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from timebank_federation.registries import Registries
from timebank_node.cli import app, main
from timebank_node.commands_keys import new_key, sign_registry
from timebank_node.commands_node import init_node

NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Aberdare's home beside Barry's, with an accepted registry of both."""
    folder, quiet = tmp_path_factory.mktemp("network"), Console(quiet=True)
    for node in ("aberdare", "barry"):
        url = f"http://{node}.example"
        init_node(quiet, folder / node, network="timebank.example", node=node, url=url, limit=6_000)
    new_key(quiet, folder / "operator.key")
    files = [folder / node / "node.json" for node in ("aberdare", "barry")]
    sign_registry(quiet, files, [folder / "operator.key"], folder / "registry.json", k=1)
    Registries(folder / "aberdare" / "registry").add((folder / "registry.json").read_bytes())
    return folder / "aberdare"


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["kafka", *map(str, words)])
        said = capsys.readouterr()
        assert ended.value.code == 2
        assert said.err.count("\n") == 1
        return said.err.removeprefix("timebank: ").rstrip("\n")

    return run


@pytest.mark.parametrize("where", ["", "registry", "../registry.json"])
def test_the_plan_is_printed_from_a_home_a_folder_or_a_document(home: Path, where: str) -> None:
    done = CliRunner().invoke(app, ["kafka", "plan", "--registry", str(home / where), "--retention-days", "7"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert len(lines) == 2 + 10 + 2
    assert lines[0].startswith("topic timebank.timebank.example.inbox.aberdare partitions=1 replication=3 ")
    assert "retention.ms=604800000" in lines[0]


def test_without_acls_the_plan_holds_topics_only(home: Path) -> None:
    done = CliRunner().invoke(app, ["kafka", "plan", "--registry", str(home / "registry"), "--no-acls"])
    assert [line.split()[0] for line in done.output.splitlines()] == ["topic", "topic"]


def test_without_a_registry_it_is_said_how_to_name_one(refused: Callable[..., str]) -> None:
    assert refused("plan") == "Name the registry: --registry PLACE, a node's home or a signed document."


def test_a_folder_without_a_registry_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused("plan", "--registry", tmp_path).startswith(f"There is no registry in {tmp_path}")


def test_a_file_that_is_no_registry_is_refused(refused: Callable[..., str], home: Path) -> None:
    assert "is no registry document" in refused("plan", "--registry", home / "node.json")


def test_without_brokers_it_is_said_how_to_name_them(refused: Callable[..., str], home: Path) -> None:
    assert refused("apply", "--registry", home / "registry").startswith("Name the brokers: --bootstrap host:port")


@pytest.mark.parametrize("command", ["plan", "apply", "check"])
def test_brokers_that_do_not_answer_are_named(refused: Callable[..., str], home: Path, command: str) -> None:
    said = refused(command, "--registry", home / "registry", "--bootstrap", NOWHERE)
    assert said.startswith(f"Kafka at {NOWHERE} cannot be used: ")


def test_a_node_that_the_registry_does_not_hold_is_refused(refused: Callable[..., str], home: Path) -> None:
    asked = ("--registry", home / "registry", "--bootstrap", NOWHERE)
    assert "no open node cardiff" in refused("check", *asked, "--node", "cardiff")
    assert "no open node cardiff" in refused("user", "cardiff", "file", *asked)


def test_a_file_that_does_not_hold_topic_ids_is_refused(refused: Callable[..., str], home: Path) -> None:
    asked = ("--registry", home / "registry", "--bootstrap", NOWHERE)
    for text in ("no json", "[]"):
        (home / "ids").write_text(text)
        assert "is not a file of topic ids: delete it" in refused("check", *asked, "--known", home / "ids")
