"""The broker of `deploy/compose.yaml` with the certificates of the runbook: the same variables, without Docker.

What compose would mount is looked up in its file, what its network would name is this machine; the rest is as it is.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from deploy.image.local.kafka_start import setting
from deploy.servers.child import free_port
from deploy.servers.errors import ServerMissing
from deploy.servers.kafka import KafkaBroker, find_java
from tests.e2e.pages import blocks_of
from tests.federation.plans import NETWORK, registry_of
from tests.federation.towns import OPERATORS
from tests.kafka.secured import DROPPED, inbox_of
from timebank_federation.broker import BrokerAway, TopicAway
from timebank_federation.broker_kafka import KafkaInbox, KafkaOutbox
from timebank_federation.broker_security import KafkaSecurity
from timebank_node.cli import app
from timebank_node.network import first_registry

pytestmark = [pytest.mark.servers, pytest.mark.slow, DROPPED]
DEPLOY = Path(__file__).parents[2] / "deploy"
SAID: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
TOWNS = ("aberdare", "barry")
SECONDS_MAX = 60


class Composed:
    """The broker, and what compose would tell each service that goes to it."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        (self.files / "secrets").mkdir(parents=True)
        self._ports = {"9092": str(free_port()), "9093": str(free_port())}
        self._data = str(folder / "broker" / "data")
        self.address = f"localhost:{self._ports['9092']}"
        registry = first_registry(NETWORK, registry_of(*TOWNS).nodes, operators=OPERATORS, k=1)
        (self.files / "registry.json").write_bytes(registry)
        self._make_certificates()
        said = self.variables("kafka")
        settings = {setting(name): value for name, value in said.items() if name.startswith("KAFKA_")}
        # The adapter's own way to a controller, which compose does not name, is left out.
        settings["controller.quorum.bootstrap.servers"] = ""
        self.broker = KafkaBroker(
            folder / "broker", settings=settings, listeners={"TOWNS": "SSL"}, format_options=(), heap_megabytes=256
        )

    def _make_certificates(self) -> None:
        [block] = [
            one for one in blocks_of(DEPLOY / "runbooks" / "install.md") if "certificates" in one.mark.split(", ")
        ]
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            env={"PATH": "/usr/bin:/bin", "TOWN_FILES": str(self.files)},
            capture_output=True,
            timeout=SECONDS_MAX,
            check=True,
        )

    def variables(self, service: str) -> dict[str, str]:
        """The variables of a service, as they are where its mounts and its network are not."""
        said = SAID["services"][service]
        places = {f"/run/secrets/{name}": SAID["secrets"][name]["file"] for name in said["secrets"]}
        places |= {one["target"]: SAID["configs"][one["source"]]["file"] for one in said["configs"]}
        places = {place: str(self.files / file.partition("}/")[2]) for place, file in places.items()}
        places |= {f":{port}": f":{own}" for port, own in self._ports.items()}
        places |= {"//kafka:": "//localhost:", "/var/lib/kafka/data": self._data, "$$": "$"}
        found = {}
        for name, value in said["environment"].items():
            here = value.removeprefix("kafka:") if name == "TIMEBANK_FEDERATION_KAFKA" else ""
            found[name] = f"localhost:{self._ports[here]}" if here else reduce(_replaced, places.items(), value)
        return found

    def run(self, command: str, *more: str, service: str = "kafka-rights") -> Result:
        """`timebank kafka …` as a service may run it."""
        words = SAID["services"]["kafka-rights"]["command"]
        assert words[:3] == ["timebank", "kafka", "apply"]
        words = [str(self.files / "registry.json") if word == "/run/registry.json" else word for word in words[3:]]
        around = {name: value for name, value in self.variables(service).items() if "_FEDERATION_KAFKA" in name}
        return CliRunner(env=around).invoke(app, ["kafka", command, *words, *more])

    def security(self, service: str) -> KafkaSecurity:
        """The same for a client of ours."""
        said = self.variables(service)
        return KafkaSecurity(
            protocol=said["TIMEBANK_FEDERATION_KAFKA_SECURITY_PROTOCOL"],
            ca_file=Path(said["TIMEBANK_FEDERATION_KAFKA_CA_FILE"]),
            certificate_file=Path(said["TIMEBANK_FEDERATION_KAFKA_CERTIFICATE_FILE"]),
            key_file=Path(said["TIMEBANK_FEDERATION_KAFKA_KEY_FILE"]),
        )


def _replaced(text: str, change: tuple[str, str]) -> str:
    return text.replace(*change)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    if shutil.which("openssl", path="/usr/bin:/bin") is None:
        pytest.skip("openssl is not installed: the runbook makes certificates with it")
    try:
        find_java()
    except ServerMissing as missing:
        pytest.skip(str(missing))
    made = Composed(tmp_path_factory.mktemp("composed"))
    with made.broker:
        yield made


def test_each_town_is_given_its_inbox_and_rights_once_and_has_no_others(composed: Composed) -> None:
    """PROTOCOL.md K1, K5."""
    first = composed.run("apply")
    assert first.exit_code == 0, first.output
    assert {line.split()[-1] for line in first.output.splitlines() if line.startswith("made topic")} == {
        inbox_of(town) for town in TOWNS
    }
    assert "Nothing to do" in composed.run("apply").output
    found = composed.run("check")
    assert (found.exit_code, "FINE" in found.output) == (0, True), found.output
    for town in TOWNS:
        found = composed.run("check", "--node", town, service=f"{town}-federation")
        assert (found.exit_code, "FINE" in found.output) == (0, True), found.output
    other = composed.run("check", "--node", "barry", service="aberdare-federation")
    assert other.exit_code == 1, "its certificate says who it is, whatever it says itself"
    refused = composed.run("apply", service="aberdare-federation")
    assert refused.exit_code != 0, "a town gives no rights"


def test_a_town_writes_to_its_peer_and_reads_its_own_inbox_only(composed: Composed) -> None:
    """PROTOCOL.md K5."""
    assert composed.run("apply").exit_code == 0
    aberdare, barry = (composed.security(f"{town}-federation") for town in TOWNS)
    outbox = KafkaOutbox(composed.address, aberdare)
    inbox = KafkaInbox(composed.address, inbox_of("barry"), barry)
    outbox.send(inbox_of("barry"), key="aberdare", value=b"an hour")
    found: list[bytes] = []
    while b"an hour" not in found:
        found += [record.value for record in inbox.poll(timeout_seconds=5)]
    with pytest.raises(TopicAway):
        outbox.send(inbox_of("aberdare"), key="aberdare", value=b"to itself")
    outbox.close()
    inbox.close()


def test_nobody_comes_in_without_a_certificate_of_the_network_s_authority(composed: Composed) -> None:
    authority = composed.security("aberdare-federation").ca_file
    for security in (KafkaSecurity(protocol="SSL", ca_file=authority), KafkaSecurity()):
        outbox = KafkaOutbox(composed.address, security)
        with pytest.raises(BrokerAway):
            outbox.send(inbox_of("barry"), key="aberdare", value=b"x")
        outbox.close()


def test_what_stays_behind_is_public_or_closed_to_others(composed: Composed) -> None:
    secrets = {path.name: path.stat().st_mode & 0o777 for path in (composed.files / "secrets").iterdir()}
    assert secrets == dict.fromkeys(
        ["kafka-broker", "kafka-admin-key", *(f"{town}-kafka-key" for town in TOWNS)], 0o600
    )
    left = {path.name for path in composed.files.iterdir() if path.is_file()}
    assert {name for name in left if name.endswith(".key")} == {"kafka-authority.key"}
    for path in composed.files.glob("*.pem"):
        assert "PRIVATE" not in path.read_text("ascii")
