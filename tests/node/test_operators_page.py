"""The page for operators names commands and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.node.test_cli import made

PAGE = (Path(__file__).parents[2] / "docs" / "operators.md").read_text("utf-8")
CALLS = sorted(
    set(re.findall(r"timebank ((?:network|node|keys|peers|quarantine) [a-z-]+|status|doctor)([^`\n]*)", PAGE))
)


@pytest.mark.parametrize(("command", "rest"), CALLS)
def test_a_command_of_the_page_exists_with_its_options(command: str, rest: str) -> None:
    said = made(*command.split(), "--help")
    for option in re.findall(r"--[a-z0-9-]+", rest):
        assert option in said


def test_every_change_of_the_table_is_an_option() -> None:
    said = made("network", "propose", "--help")
    table = [line for line in PAGE.splitlines() if line.startswith("| ") and "`--" in line]
    assert len(table) >= 8
    for option in re.findall(r"--[a-z-]+", " ".join(table)):
        assert option in said
