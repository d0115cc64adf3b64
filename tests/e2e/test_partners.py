"""The partners' quick start is run as it stands: blocks in order, against a sandbox, outputs compared.

A comment before a block says how: `run` (`in a new shell`: the reader's second terminal; Python has the third), or
`serve in FOLDER until FILE is there` (it is left running until the page's end). A `text` block behind one that is run
shows its output; `…` in it stands for any text, a line of `…` alone for any lines.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.pages import SHELLS, Block, blocks_of, copied_checkout, environment
from tests.e2e.running_towns import ROOT, until
from timebank_contracts.problems import STATUS

PAGE = ROOT / "docs" / "partners.md"
BASH = ["bash", "-euo", "pipefail"]
BASH_LINE = ". {}; printf '\\n@@ended 0\\n'\n"
DRIVER = """
import code, sys, traceback
class Reader(code.InteractiveConsole):
    status = 0
    def showtraceback(self):
        traceback.print_exc(file=sys.stdout)
        self.status = 1
    def showsyntaxerror(self, *words, **named):
        self.showtraceback()
reader = Reader()
for path in sys.stdin:
    for line in [*open(path.strip()).read().splitlines(), ""]:
        reader.push(line)
    print(f"\\n@@ended {reader.status}", flush=True)
"""
"""Takes line after line, as Python's own prompt takes what a reader pastes."""


class Session:
    """One program that runs block after block, and keeps what they defined."""

    def __init__(self, argv: list[str], folder: Path, around: dict[str, str], line: str) -> None:
        self._line = line
        self._file = folder / "block-to-run"
        self._child = subprocess.Popen(
            argv,
            cwd=folder,
            env=around,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def run(self, text: str) -> str:
        """What a block printed; fails when it did not end well."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._file.write_text(text)
        self._child.stdin.write(self._line.format(self._file))
        self._child.stdin.flush()
        said: list[str] = []
        for line in self._child.stdout:
            if ended := re.fullmatch(r"@@ended (\d+)\n", line):
                assert ended[1] == "0", "".join(said)
                return "".join(said).rstrip("\n") + "\n"
            said.append(line)
        raise AssertionError("It ended in the middle of a block:\n" + "".join(said))

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def served(block: Block, checkout: Path, around: dict[str, str]) -> Iterator[Path]:
    """What a block starts, until the page's end; yields the folder that it runs in."""
    found = re.fullmatch(r"serve in (\S+) until (\S+) is there", block.mark)
    assert found is not None, block.mark
    folder = checkout / found[1]
    server = subprocess.Popen(["bash", "-c", f"exec {block.text}"], cwd=folder, env=around)
    try:
        until(lambda: server.poll() is not None or (folder / found[2]).exists(), seconds=60, what=found[2])
        assert server.poll() is None
        yield folder
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0


def shown(text: str) -> re.Pattern[str]:
    """What an output block stands for."""
    lines = [".*" if line == "…\n" else re.escape(line).replace("…", "[^\n]*") for line in text.splitlines(True)]
    return re.compile("".join(lines), re.DOTALL)


def run_page(checkout: Path, around: dict[str, str]) -> None:
    """Run every block of the page in order."""
    said = ""
    with ExitStack() as stack:

        def session(argv: list[str], folder: Path, line: str) -> Session:
            made = Session(argv, folder, around, line)
            stack.callback(made.close)
            return made

        shell = session(BASH, checkout, BASH_LINE)
        python, folder = None, checkout
        for block in blocks_of(PAGE):
            if block.mark.startswith("serve "):
                folder = stack.enter_context(served(block, checkout, around))
            elif block.language == "text":
                as_shown = shown(block.text).fullmatch(said) is not None
                assert as_shown, f"The page shows\n{block.text}\nand it was\n{said}"
            elif block.language == "python":
                if python is None:
                    start = f". sandbox/partner.env; exec {sys.executable} -u -c '{DRIVER}'"
                    python = session(["bash", "-c", start], folder, "{}\n")
                said = python.run(block.text)
            else:
                if block.mark == "run in a new shell":
                    shell = session(BASH, checkout, BASH_LINE)
                said = shell.run(block.text)


def test_every_block_of_the_page_is_run_or_compared() -> None:
    blocks = blocks_of(PAGE)
    assert len(blocks) > 20
    for before, block in pairwise([Block("text", "", ""), *blocks]):
        if block.language == "text":
            assert before.mark.startswith("run"), block.text
        else:
            assert block.language in (*SHELLS, "python")
            assert block.mark.startswith(("run", "serve in ")), f"say how it is run:\n{block.text}"


def test_the_pages_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (PAGE.parent / link).exists()] == []


def test_the_codes_that_the_page_names_are_the_apis() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    codes = re.findall(r"`([a-z_]+)`", "".join(rows))
    assert len(codes) > 10
    assert [code for code in codes if code not in STATUS] == []


@pytest.mark.slow
def test_the_quick_start_works_word_for_word(tmp_path: Path) -> None:
    with copied_checkout(tmp_path) as checkout:
        run_page(checkout, environment(checkout))
