"""The auditor's first hour: every command of docs/auditors.md, in its order, as it stands there."""

from __future__ import annotations

import re
import shlex
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from tests.audit.builder import Network
from tests.audit.given_out import cosign_all, policy_text
from tests.audit.season import season
from timebank_audit.cli import app

PAGE = Path(__file__).parents[2] / "docs/auditors.md"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def prepared(folder: Path) -> Network:
    network = season()
    cosign_all(network)
    network.export(folder / "exports")
    (folder / "policy").write_text(policy_text(network))
    return network


def test_every_command_of_the_first_hour_works_as_it_is_written(tmp_path: Path) -> None:
    network = prepared(tmp_path)
    said = commands()
    assert len(said) == 18
    with chdir(tmp_path):
        for line in said:
            program, room, *words = shlex.split(line.replace("REGISTRY_SHA256", network.registry.sha256))
            assert (program, room) == ("timebank", "audit")
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{line}\n{result.output}"
    made = {path.name for path in tmp_path.iterdir()}
    assert made >= {"mine", "wales.tbaudit", "wales.tar", "report.html", "adroddiad.html", "report.json", "one.receipt"}


def test_every_verb_stands_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        assert f"timebank audit {name}" in text, name
