"""Pages that are run as they stand: their blocks, what a comment before a block says, and a copy to run them in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e.running_towns import ROOT

BLOCK = re.compile(r"^(?:<!-- test: (?P<mark>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
SHELLS = ("sh", "bash", "shell", "console")
BLOCK_SECONDS_MAX = 60
KEPT_OUT = {".venv", ".git", "build", "dist", "sandbox"}


class Block(NamedTuple):
    """A block: its language, the comment before it, its lines."""

    language: str
    mark: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    found = BLOCK.finditer(page.read_text("utf-8"))
    return [Block(match["language"], match["mark"] or "", match["text"]) for match in found]


def run_block(mark: str, *pages: Path, folder: Path, **variables: str) -> str:
    """Run the one block of this name on these pages, in a folder; returns what it printed."""
    (text,) = [block.text for page in pages for block in blocks_of(page) if block.mark == mark]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=BLOCK_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(checkout: Path, **variables: str) -> dict[str, str]:
    """What a reader's shell has who put the checkout's commands first in the path."""
    # A reader's shell is not inside `make test`: what make hands to its children would change what an inner one prints.
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return {**outside, "PATH": f"{checkout / '.venv' / 'bin'}:{os.environ['PATH']}", **variables}


@contextmanager
def copied_checkout(folder: Path) -> Iterator[Path]:
    """A copy of the sources, with an environment that is this one's."""
    copy = folder / "timebank"
    shutil.copytree(ROOT, copy, ignore=lambda _, names: [n for n in names if n in KEPT_OUT or n.endswith("_cache")])
    (copy / ".venv").mkdir()
    for part in (ROOT / ".venv").iterdir():
        if part.name != "ready":
            (copy / ".venv" / part.name).symlink_to(part)
    (copy / ".venv" / "ready").touch()
    yield copy
    # Whatever failed, nothing stays up.
    subprocess.run([".venv/bin/python", "-m", "deploy.local", "down"], cwd=copy, timeout=120, check=False)
