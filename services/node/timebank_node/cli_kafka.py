"""`timebank kafka`: what the brokers shall hold, made so, and looked after. Credentials come from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    help="Topics, rights and quotas at the brokers, from a registry. Credentials: TIMEBANK_FEDERATION_KAFKA_….",
)
out = Console(highlight=False, soft_wrap=True)

Bootstrap = Annotated[
    str | None, typer.Option(help="host:port[,…] of the brokers; by default TIMEBANK_FEDERATION_KAFKA.")
]
RegistryPath = Annotated[
    Path | None,
    typer.Option(
        "--registry",
        help="A node's home, or a signed registry; by default TIMEBANK_FEDERATION_REGISTRY_FOLDER.",
        exists=True,
    ),
]
Replication = Annotated[int, typer.Option(help="Brokers that hold each record.", min=1, max=9)]
RetentionDays = Annotated[int, typer.Option(help="Days that records are kept.", min=7, max=30)]
WithAcls = Annotated[bool, typer.Option("--acls/--no-acls", help="--no-acls: brokers without an authorizer.")]


@app.command("plan")
def kafka_plan(
    registry: RegistryPath = None,
    replication: Replication = 3,
    retention_days: RetentionDays = 14,
    acls: WithAcls = True,
    bootstrap: Bootstrap = None,
) -> None:
    """Print the topics, rights and quotas that the registry asks for; with --bootstrap also what differs."""
    from timebank_node.commands_kafka import print_plan  # noqa: PLC0415 - a room loads when its command runs

    print_plan(
        out, registry, bootstrap=bootstrap, replication=replication, retention_days=retention_days, with_acls=acls
    )


@app.command("apply")
def kafka_apply(
    registry: RegistryPath = None,
    replication: Replication = 3,
    retention_days: RetentionDays = 14,
    acls: WithAcls = True,
    bootstrap: Bootstrap = None,
) -> None:
    """Make and change what differs from the plan; a second time nothing is done. Needs an administrator."""
    from timebank_node.commands_kafka import apply_plan  # noqa: PLC0415

    apply_plan(
        out, registry, bootstrap=bootstrap, replication=replication, retention_days=retention_days, with_acls=acls
    )


@app.command("user")
def kafka_user(
    node: Annotated[str, typer.Argument(help="The node; its user has the same name.")],
    password_file: Annotated[
        Path, typer.Argument(help="Its password: a new one is written, an existing one taken.", dir_okay=False)
    ],
    registry: RegistryPath = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Make a node's SCRAM user at the brokers, or give it another password. Needs an administrator."""
    from timebank_node.commands_kafka import make_user  # noqa: PLC0415

    make_user(out, registry, node=node, password_file=password_file, bootstrap=bootstrap)


@app.command("check")
def kafka_check(
    registry: RegistryPath = None,
    replication: Replication = 3,
    retention_days: RetentionDays = 14,
    acls: WithAcls = True,
    bootstrap: Bootstrap = None,
    node: Annotated[str | None, typer.Option(help="Check what this node's own credentials may do.")] = None,
    known: Annotated[
        Path | None, typer.Option(help="File that remembers topic ids, to notice one made again.", dir_okay=False)
    ] = None,
) -> None:
    """Compare the brokers with the plan, a sentence for each finding. Exit status 0: fine, 1: wrong, 2: no answer."""
    from timebank_node.commands_kafka import check_brokers  # noqa: PLC0415

    fine = check_brokers(
        out,
        registry,
        bootstrap=bootstrap,
        replication=replication,
        retention_days=retention_days,
        with_acls=acls,
        node=node,
        known=known,
    )
    raise typer.Exit(0 if fine else 1)
