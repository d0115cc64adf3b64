"""Commands about the brokers: a registry and the operators' choices give a plan; it is printed, applied or compared."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final

from rich.console import Console

from timebank_contracts.errors import Malformed
from timebank_contracts.registry import Registry
from timebank_federation.broker_security import KafkaSecurity, read_password, read_security
from timebank_federation.kafka_admin import KafkaAdmin
from timebank_federation.kafka_check import BrokersState, Findings, compare, compare_node
from timebank_federation.settings import FederationSettings
from timebank_federation.topics import Plan, TopicRules, describe_plan, inbox_prefix, plan_of
from timebank_kit.files import atomic_write, write_secret
from timebank_kit.settings import read_settings
from timebank_node.commands_network import read_in_force

PASSWORD_BYTES: Final = 24
KNOWN_BYTES_MAX: Final = 1_048_576
NO_SUCH_NODE: Final = "no_such_node"
"""No node can be named so: nobody makes its topic, and no ACL allows it."""


def print_plan(
    out: Console,
    registry: Path | None,
    *,
    bootstrap: str | None,
    replication: int,
    retention_days: int,
    with_acls: bool,
) -> None:
    """Print what shall be; where brokers are named by the option, also what is otherwise."""
    settings = _settings()
    plan = _plan(registry, settings, replication=replication, retention_days=retention_days, with_acls=with_acls)
    for line in describe_plan(plan):
        out.print(line, markup=False)
    if bootstrap is not None:
        with KafkaAdmin(bootstrap, read_security(settings)) as admin:
            found = compare(plan, admin.state(plan.network), known_ids={})
        _print(out, found)


def apply_plan(
    out: Console,
    registry: Path | None,
    *,
    bootstrap: str | None,
    replication: int,
    retention_days: int,
    with_acls: bool,
) -> None:
    """Make it so, and print each thing that was done."""
    settings = _settings()
    plan = _plan(registry, settings, replication=replication, retention_days=retention_days, with_acls=with_acls)
    with KafkaAdmin(_bootstrap(bootstrap, settings), read_security(settings)) as admin:
        done = admin.apply(plan)
    for line in done or ["Nothing to do: the brokers hold the plan."]:
        out.print(line, markup=False)


def make_user(out: Console, registry: Path | None, *, node: str, password_file: Path, bootstrap: str | None) -> None:
    """Give a node a SCRAM user; its password is that of the file, which is made with a fresh one when it is missing."""
    settings = _settings()
    described = _registry(registry or settings.registry_folder).find(node)
    if described is None or described.state == "closed":
        raise Malformed(f"The registry has no open node {node}; a user of another name would have no rights.")
    where, security = _bootstrap(bootstrap, settings), read_security(settings)
    if not password_file.exists():
        write_secret(password_file, secrets.token_urlsafe(PASSWORD_BYTES).encode("ascii") + b"\n")
    with KafkaAdmin(where, security) as admin:
        admin.set_password(node, read_password(password_file))
    said = f"User {node} has the password in {password_file}: bring it to the node, and keep it secret."
    out.print(said, markup=False)


def check_brokers(
    out: Console,
    registry: Path | None,
    *,
    bootstrap: str | None,
    replication: int,
    retention_days: int,
    with_acls: bool,
    node: str | None,
    known: Path | None,
) -> bool:
    """Print each finding; says whether there was none.

    Args:
        node: ask with this node's own credentials what they may do; None: ask everything, as an administrator.
        known: keeps topic ids from one check to the next.
    """
    settings = _settings()
    plan = _plan(registry, settings, replication=replication, retention_days=retention_days, with_acls=with_acls)
    where, security = _bootstrap(bootstrap, settings), read_security(settings)
    if node is not None:
        found = _check_node(plan, node, where, security)
    else:
        ids = {} if known is None else _known(known)
        with KafkaAdmin(where, security) as admin:
            state = admin.state(plan.network)
        found = compare(plan, state, known_ids=ids)
        if known is not None:
            _remember(known, ids, state)
    _print(out, found)
    return not found.wrong


def _check_node(plan: Plan, node: str, bootstrap: str, security: KafkaSecurity) -> Findings:
    topics = [topic.name for topic in plan.topics]
    if not any(name == inbox_prefix(plan.network) + node for name in topics):
        raise Malformed(f"The registry has no open node {node}; name one of its nodes with --node.")
    with KafkaAdmin(bootstrap, security) as admin:
        view = admin.view(topics, inbox_prefix(plan.network) + NO_SUCH_NODE)
    return compare_node(plan, node, view)


def _print(out: Console, found: Findings) -> None:
    for sentence in found.wrong:
        out.print(f"WRONG  {sentence}", markup=False)
    for sentence in found.notes:
        out.print(f"NOTE   {sentence}", markup=False)
    if not found.wrong:
        out.print("FINE   The brokers hold the plan.")


def _settings() -> FederationSettings:
    return read_settings(FederationSettings, os.environ)


def _bootstrap(named: str | None, settings: FederationSettings) -> str:
    bootstrap = named or settings.kafka
    if not bootstrap:
        raise Malformed("Name the brokers: --bootstrap host:port, or TIMEBANK_FEDERATION_KAFKA.")
    return bootstrap


def _plan(
    path: Path | None, settings: FederationSettings, *, replication: int, retention_days: int, with_acls: bool
) -> Plan:
    rules = TopicRules(replication=replication, retention_days=retention_days, with_acls=with_acls)
    return plan_of(_registry(path or settings.registry_folder), rules)


def _registry(path: Path | None) -> Registry:
    if path is None:
        raise Malformed("Name the registry: --registry PLACE, a node's home or a signed document.")
    return read_in_force(path)


def _known(path: Path) -> dict[str, str]:
    """Topic ids as they were at the last check."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes()[:KNOWN_BYTES_MAX])
    except ValueError as error:
        raise Malformed(f"{path} is not a file of topic ids: delete it, and check again.") from error
    if not isinstance(found, dict):
        raise Malformed(f"{path} is not a file of topic ids: delete it, and check again.")
    return {str(name): str(topic_id) for name, topic_id in found.items()}


def _remember(path: Path, ids: dict[str, str], state: BrokersState) -> None:
    """Add topics that are new; one that has another id stays as it was, so that it is found until a person looked."""
    now = {**{name: topic.id for name, topic in state.topics.items()}, **ids}
    if now != ids:
        atomic_write(path, (json.dumps(now, indent=2, sort_keys=True) + "\n").encode("utf-8"))
