"""The page for who runs the brokers: its settings are those of the secured broker, its commands run as they stand."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.local.towns import LocalTown, make_network
from deploy.servers.kafka_secured import SecuredBroker
from tests.e2e.pages import SHELLS, Block, blocks_of, environment
from tests.e2e.running_towns import ROOT
from tests.federation.plans import NETWORK
from tests.kafka.secured import DROPPED, Secured
from timebank_federation.metrics import federation_metrics
from timebank_federation.settings import FederationSettings
from timebank_kit.files import write_secret

PAGE = ROOT / "docs" / "kafka.md"
BLOCKS = blocks_of(PAGE)


def shown(expected: str, said: str) -> bool:
    """Whether an output is as the page shows it; `…` stands for any text, alone on a line for any lines."""
    pattern = re.escape(expected).replace("…\n", ".*\n").replace("…", ".*")
    return re.fullmatch(re.sub(r"(?m)^\.\*\\?\n", "(?s:.*)\n", pattern), said) is not None


def test_the_broker_settings_are_those_that_were_tried(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.language == "properties"]
    said = dict(line.split("=", 1) for line in block.text.splitlines())
    assert said.pop("auto.create.topics.enable") == "false"
    assert said.items() <= SecuredBroker(tmp_path / "broker").settings.items()


def test_every_variable_and_metric_is_one() -> None:
    text = PAGE.read_text("utf-8")
    named = set(re.findall(r"TIMEBANK_FEDERATION_([A-Z_]+)", text)) | set(re.findall(r"…_(KAFKA_[A-Z_]+)", text))
    assert named <= {name.upper() for name in FederationSettings.model_fields}
    source = Path(federation_metrics.__code__.co_filename).read_text("utf-8")
    for metric in re.findall(r"`timebank_federation_(\w+?)(?:_total)?[`{]", text):
        assert f'"{metric}"' in source


@pytest.mark.servers
@pytest.mark.slow
@DROPPED
def test_the_commands_do_what_the_page_shows(secured: Secured, tmp_path: Path) -> None:
    towns = [LocalTown(name=name, home=tmp_path / name, ports={"federation": 1}) for name in ("aberdare", "barry")]
    make_network(NETWORK, towns, folder=tmp_path)
    (tmp_path / "brokers-ca.pem").write_bytes(secured.broker.authority.certificate.read_bytes())
    write_secret(tmp_path / "admin.password", secured.broker.password.encode("ascii"))
    secured.forget(*[topic.name for topic in secured.plan.topics])
    around = environment(ROOT, BROKERS=secured.scram_address, COLUMNS="300")
    exported = ""
    for block, after in pairwise([*BLOCKS, Block("", "", "")]):
        if block.language in SHELLS:
            assert block.mark == "run"
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", exported + block.text],
                cwd=tmp_path,
                env=around,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert after.language == "text"
            assert shown(after.text, done.stdout), f"{after.text}\nis not\n{done.stdout}"
            exported += "".join(f"{line}\n" for line in block.text.splitlines() if line.startswith("export "))
