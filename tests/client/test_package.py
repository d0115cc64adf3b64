"""The client stands alone: built by itself, it loads without anything of the town's own software."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from timebank_client.timebank import VERSION

ROOT = Path(__file__).parents[2]
LOADS = """
import sys
import timebank_client
loaded = {name.partition(".")[0] for name in sys.modules}
print(timebank_client.__file__)
print(sorted(name for name in loaded if name.startswith("timebank_") or name in ("joserfc", "fastapi", "pydantic")))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT / "services" / "client", check=True, capture_output=True, timeout=120)
    (found,) = folder.glob("*.whl")
    return found


def test_it_is_built_by_itself_with_its_types(wheel: Path) -> None:
    assert wheel.name == f"timebank_client-{VERSION}-py3-none-any.whl"
    names = {name for name in ZipFile(wheel).namelist() if "dist-info" not in name}
    assert "timebank_client/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"timebank_client"}


def test_it_loads_without_the_towns_software_and_without_what_only_keys_need(wheel: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOADS],
        env={"PYTHONPATH": str(wheel)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    where, loaded = said.stdout.splitlines()
    assert where.startswith(str(wheel))
    assert loaded == "['timebank_client']"


def test_its_version_is_the_projects() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["version"] == VERSION
    with (ROOT / "services" / "client" / "pyproject.toml").open("rb") as file:
        own = tomllib.load(file)["project"]
    everything = [*project["dependencies"], *project["optional-dependencies"]["node"]]
    for needed in [*own["dependencies"], *own["optional-dependencies"]["keys"]]:
        assert any(each.startswith(needed) for each in everything), f"{needed} differs from the project's"
