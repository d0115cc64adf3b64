"""The base distribution alone gives the auditor: installed from its wheel, without the servers' libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.audit.season import season

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BARRED = ("fastapi", "starlette", "uvicorn", "httpx", "httpcore", "kafka", "psycopg", "eventsourcing", "sqlalchemy")
_TELL = """
import sys
from timebank_node.cli import main
try:
    main(sys.argv[1:])
finally:
    print("IMPORTED", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TIMEBANK"))}
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, env=clean)


def parts_of_the_base() -> set[str]:
    """The files and folders of what the base distribution demands, and of all that demands in turn."""
    wanted, known, parts = ["timebank"], set(), set()
    while wanted:
        name = wanted.pop()
        known.add(name)
        found = distribution(name)
        for file in found.files or [] if name != "timebank" else []:
            if file.parts[0] not in ("..", "__pycache__"):
                parts.add(file.parts[0])
        for text in found.requires or []:
            demanded = Requirement(text)
            is_ours = demanded.marker is None or demanded.marker.evaluate({"extra": ""})
            if is_ours and canonicalize_name(demanded.name) not in known:
                wanted.append(canonicalize_name(demanded.name))
    return parts


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with our wheel and the base's own dependencies, nothing of a server's."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert wheel.returncode == 0, wheel.stderr
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env/bin/python"
    found = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    site = Path(found.stdout.strip())
    here = Path(sysconfig.get_path("purelib"))
    for part in parts_of_the_base():
        if not (site / part).exists():
            (site / part).symlink_to(here / part)
    [made] = folder.glob("*.whl")
    unpacked = run(sys.executable, "-m", "zipfile", "-e", made, site, cwd=folder)
    assert unpacked.returncode == 0, unpacked.stderr
    return python


def test_the_auditor_works_from_the_base_distribution_and_loads_no_server(python: Path, tmp_path: Path) -> None:
    season().export(tmp_path / "out")
    done = run(python, "-c", _TELL, "audit", "verify", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    imported = done.stderr.rpartition("IMPORTED")[2].split()
    assert not set(BARRED) & set(imported)
    for name in BARRED:
        assert run(python, "-c", f"import {name}", cwd=tmp_path).returncode != 0, "it is not there at all"


def test_every_verb_of_the_auditor_is_there(python: Path, tmp_path: Path) -> None:
    done = run(python, "-c", _TELL, "audit", "selftest", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    season().export(tmp_path / "out")
    for words in (
        ["export", "out", "--into", "b.tbaudit"],
        ["report", "b.tbaudit", "--into", "r.html"],
        ["reconcile", "b.tbaudit"],
        ["replay", "b.tbaudit", "--town", "barry", "--as-of", "2026-01-01"],
    ):
        done = run(python, "-c", _TELL, "audit", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run(python, "-c", _TELL, "figures", "b.tbaudit", "--csv", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not set(BARRED) & set(done.stderr.rpartition("IMPORTED")[2].split())


def test_a_command_of_the_servers_says_what_to_install(python: Path, tmp_path: Path) -> None:
    done = run(python, "-c", _TELL, "demo", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'timebank[node]'" in done.stderr
