"""The `timebank` command: what it says of itself, and what a shell completes."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.servers.child import free_port
from tests.e2e.running_towns import timebank


def test_help_shows_examples_of_every_part() -> None:
    said = timebank("--help")
    assert said.returncode == 0
    for example in (
        "timebank demo --serve",
        "timebank node init",
        "timebank network sign",
        "timebank node accept",
        "timebank audit verify",
    ):
        assert example in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "node init",
        "node accept",
        "node serve",
        "node export",
        "serve ledger",
        "serve directory",
        "serve federation",
        "network sign",
        "keys new",
        "keys show",
        "client add",
        "export hledger",
        "client rotate",
        "client list",
        "client revoke",
        "audit verify",
    ],
)
def test_each_command_says_what_it_does(command: str) -> None:
    said = timebank(*command.split(), "--help")
    assert said.returncode == 0, said.stderr
    assert f"Usage: timebank {command}" in said.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    said = timebank("--show-completion", shell)
    assert said.returncode == 0, said.stderr
    assert "_TIMEBANK_COMPLETE" in said.stdout


def test_a_shell_completes_the_commands() -> None:
    typed = {"_TIMEBANK_COMPLETE": "complete_bash", "COMP_WORDS": "timebank n", "COMP_CWORD": "1"}
    said = timebank(environment=typed)
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == ["node", "network"]


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["node", "init"], ["demo", "--seed", "-1"], ["node", "serve", "nowhere"]],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_status_2_and_no_traceback(arguments: list[str], tmp_path: Path) -> None:
    said = timebank(*arguments)
    assert said.returncode == 2
    assert said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.slow
def test_a_broker_that_is_not_there_is_said_in_one_sentence() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    said = timebank("demo", "--kafka", nowhere)
    assert said.returncode == 2
    assert said.stderr.startswith(f"timebank: Kafka at {nowhere} cannot be used: ")
    assert len(said.stderr.splitlines()) == 1
