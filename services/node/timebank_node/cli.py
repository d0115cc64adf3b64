"""The `timebank` command: what can be asked, and where it is done. Rooms load when their command runs.

So `timebank audit` works where only the base distribution is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from timebank_conformance.cli import conformance
from timebank_contracts.errors import Malformed, Refusal
from timebank_node.cli_kafka import app as kafka_app
from timebank_node.cli_mirror import mirror, restore
from timebank_node.cli_network import app as network_app
from timebank_node.cli_peers import app as peers_app
from timebank_node.cli_quarantine import app as quarantine_app
from timebank_node.cli_sandbox import app as sandbox_app
from timebank_node.cli_status import doctor, status
from timebank_node.cli_witness import app as witness_app

app = typer.Typer(
    name="timebank",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Hours earned in one town, spent in another.",
    epilog=(
        "Examples:\n\n"
        "  timebank demo                                  three towns, half a year, one audit\n\n"
        "  timebank demo --serve                          the same, and the towns stay up\n\n"
        "  timebank sandbox                               a town to build against, with credentials\n\n"
        "  timebank node init ./aberdare --network timebank.wales --node aberdare --url http://127.0.0.1:8101\n\n"
        "  timebank network sign --out registry.json --operator op.key aberdare/node.json barry/node.json\n\n"
        "  timebank node accept ./aberdare registry.json && timebank node serve ./aberdare --port 8101\n\n"
        "  timebank audit verify ./logs/aberdare ./logs/barry"
    ),
)
node_app = typer.Typer(no_args_is_help=True, help="A town's node: make it, let it accept a registry, serve it.")
keys_app = typer.Typer(no_args_is_help=True, help="Keys: make an operator's, show public parts.")
serve_app = typer.Typer(no_args_is_help=True, help="One service of a node, as a process of its own.")
export_app = typer.Typer(no_args_is_help=True, help="A stopped node's journal for other programs.")
client_app = typer.Typer(no_args_is_help=True, help="Programs that call a town's APIs.")
app.add_typer(node_app, name="node")
app.add_typer(keys_app, name="keys")
app.add_typer(network_app, name="network")
app.add_typer(peers_app, name="peers")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(serve_app, name="serve")
app.add_typer(client_app, name="client")
app.add_typer(export_app, name="export")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(kafka_app, name="kafka")
app.add_typer(witness_app, name="witness")
app.command("mirror")(mirror)
app.command("restore")(restore)
app.command("status")(status)
app.command("doctor")(doctor)
app.command("conformance")(conformance)

Folder = Annotated[Path, typer.Argument(help="The node's home.", file_okay=False)]
ClientId = Annotated[str, typer.Argument(help="The client's id: a-z, 0-9, -.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="Its public key, a JWK or PEM, in place of a secret.", exists=True, dir_okay=False)
]
Port = Annotated[int, typer.Option(help="Port to serve on; 0: a free one.", min=0, max=65535)]
Host = Annotated[str, typer.Option(help="Address to serve on.")]
out = Console(highlight=False, soft_wrap=True)


@node_app.command("init")
def node_init(
    folder: Folder,
    network: Annotated[str, typer.Option(help="The network's DNS name, such as timebank.wales.")],
    node: Annotated[str, typer.Option(help="The town's slug, such as aberdare.")],
    url: Annotated[str, typer.Option(help="Where peers reach this node.")],
    limit_hours: Annotated[int, typer.Option(help="What this town and a peer may owe each other.", min=0)] = 100,
) -> None:
    """Make a node's home with fresh keys, and say what the operators put into the registry."""
    from timebank_node.commands_node import init_node  # noqa: PLC0415 - a room loads when its command runs

    init_node(out, folder, network=network, node=node, url=url, limit=limit_hours * 60)


@node_app.command("accept")
def node_accept(
    folder: Folder,
    registry: Annotated[
        list[Path],
        typer.Argument(help="The signed registry; several: its versions in order.", exists=True, dir_okay=False),
    ],
    sha256: Annotated[
        str | None, typer.Option(help="The hash of version 1, as the operators told you by another way.")
    ] = None,
) -> None:
    """Verify the network's next registry and keep it in the home."""
    from timebank_node.commands_node import accept_registry  # noqa: PLC0415

    accept_registry(out, folder, registry, pinned=sha256)


RequestFile = Annotated[Path, typer.Option("--out", help="The request's file, for the operators.", dir_okay=False)]


@node_app.command("join")
def node_join(folder: Folder, out_file: RequestFile) -> None:
    """Write the request to join the network: name, public keys, URL, topic."""
    from timebank_node.commands_life import join  # noqa: PLC0415

    join(out, folder, out_file)


@node_app.command("leave")
def node_leave(folder: Folder, out_file: RequestFile) -> None:
    """Write the request to leave the network for ever."""
    from timebank_node.commands_life import leave  # noqa: PLC0415

    leave(out, folder, out_file)


@node_app.command("rotate-key")
def node_rotate_key(folder: Folder, out_file: RequestFile) -> None:
    """Take the next step to another event key, while transfers flow: a second key, then the end of the first."""
    from timebank_node.commands_life import rotate_key  # noqa: PLC0415

    rotate_key(out, folder, out_file)


@node_app.command("rotate-log-key")
def node_rotate_log_key(folder: Folder, out_file: RequestFile) -> None:
    """Take the next step to another log key, while the log grows: a second key, then the end of the first."""
    from timebank_node.log_key import rotate_log_key  # noqa: PLC0415

    rotate_log_key(out, folder, out_file)


@node_app.command("retire-key")
def node_retire_key(folder: Folder, out_file: RequestFile) -> None:
    """Drop a stolen event key now; nothing is sent to other towns before the registry names the new one."""
    from timebank_node.commands_life import retire_key  # noqa: PLC0415

    retire_key(out, folder, out_file)


@node_app.command("lost")
def node_lost(folder: Folder, out_file: RequestFile) -> None:
    """State was lost and no mirror has it whole: make the next generation's keys, and the request to the operators."""
    from timebank_node.commands_return import ask_to_return  # noqa: PLC0415

    ask_to_return(out, folder, out_file)


@node_app.command("return")
def node_return(
    folder: Folder,
    from_mirror: Annotated[
        Path | None, typer.Option(help="A mirror of the lost generation.", exists=True, file_okay=False)
    ] = None,
) -> None:
    """Go on under the next generation, which the registry names, from the journal or mirror that is left."""
    from timebank_node.commands_return import return_node  # noqa: PLC0415

    return_node(out, folder, mirror_folder=from_mirror)


@node_app.command("serve")
def node_serve(
    folder: Folder,
    port: Port = 8100,
    host: Host = "127.0.0.1",
    without_page: Annotated[bool, typer.Option("--without-page", help="Leave out the town page.")] = False,
) -> None:
    """Serve every room of a node in one process, on one port."""
    from timebank_node.commands_node import serve_node  # noqa: PLC0415

    serve_node(out, folder, host=host, port=port, page=not without_page)


@node_app.command("export")
def node_export(
    folder: Folder,
    directory: Annotated[Path, typer.Argument(help="Where the log is written.", file_okay=False)],
    cosigned: Annotated[bool, typer.Option("--cosigned", help="Up to what most witnesses cosigned.")] = False,
) -> None:
    """Write the town's log as files that an auditor takes: checkpoint, tiles, entries, vkey, registry, notes."""
    from timebank_node.commands_node import export_node  # noqa: PLC0415

    export_node(out, folder, directory, cosigned=cosigned)


@export_app.command("hledger")
def export_hledger(
    folder: Folder,
    file: Annotated[Path, typer.Argument(help="The file to write, such as 2026.journal.", dir_okay=False)],
    first_day: Annotated[str | None, typer.Option("--from", help="The first day, such as 2026-01-01.")] = None,
    last_day: Annotated[str | None, typer.Option("--to", help="The last day, included.")] = None,
) -> None:
    """Write the journal as plain text accounting, which `hledger check` accepts."""
    from timebank_node.commands_export import export_hledger as write_journal  # noqa: PLC0415

    write_journal(out, folder, file, first_day=first_day, last_day=last_day)


@serve_app.command("ledger")
def serve_ledger(folder: Folder, port: Port = 8101, host: Host = "127.0.0.1") -> None:
    """Serve the ledger."""
    from timebank_node.commands_node import serve_service  # noqa: PLC0415

    serve_service(out, folder, "ledger", host=host, port=port)


@serve_app.command("directory")
def serve_directory(folder: Folder, port: Port = 8102, host: Host = "127.0.0.1") -> None:
    """Serve the directory; TIMEBANK_DIRECTORY_LEDGER_URL names the ledger."""
    from timebank_node.commands_node import serve_service  # noqa: PLC0415

    serve_service(out, folder, "directory", host=host, port=port)


@serve_app.command("federation")
def serve_federation(folder: Folder, port: Port = 8103, host: Host = "127.0.0.1") -> None:
    """Serve federation; TIMEBANK_FEDERATION_LEDGER_URL, …_DIRECTORY_URL and …_KAFKA name the others."""
    from timebank_node.commands_node import serve_service  # noqa: PLC0415

    serve_service(out, folder, "federation", host=host, port=port)


@serve_app.command("console")
def serve_console(
    description: Annotated[Path, typer.Argument(help="The town's node.json.", exists=True, dir_okay=False)],
    port: Port = 8104,
    host: Host = "127.0.0.1",
) -> None:
    """Serve the town page; TIMEBANK_CONSOLE_LEDGER_URL, …_DIRECTORY_URL and …_CLIENT_SECRET_FILE say with what."""
    from timebank_node.commands_console import serve_console as serve_page  # noqa: PLC0415

    serve_page(out, description, host=host, port=port)


@keys_app.command("new")
def keys_new(
    file: Annotated[Path, typer.Argument(help="The new key file; never overwritten.", dir_okay=False)],
) -> None:
    """Make an Ed25519 key (an operator's) and print its public part."""
    from timebank_node.commands_keys import new_key  # noqa: PLC0415

    new_key(out, file)


@keys_app.command("show")
def keys_show(
    path: Annotated[Path, typer.Argument(help="A key file or a node's home.", exists=True)],
) -> None:
    """Print public keys, their ids and a node's verifier key. Secrets are never printed."""
    from timebank_node.commands_keys import show_keys  # noqa: PLC0415

    show_keys(out, path)


@client_app.command("add")
def client_add(
    folder: Folder,
    client: ClientId,
    scope: Annotated[list[str] | None, typer.Option(help="A scope, once for each; none: it may do nothing.")] = None,
    account: Annotated[list[str] | None, typer.Option(help="An account that it may act for, once for each.")] = None,
    every_account: Annotated[bool, typer.Option("--every-account", help="It may act for every account.")] = False,
    key: KeyFile = None,
    mandate: Annotated[str | None, typer.Option(help="The mandate under which it acts for somebody else.")] = None,
) -> None:
    """Add a program that may call the town's APIs. Nothing is granted that is not named; a secret is printed once."""
    from timebank_node.commands_clients import add_client  # noqa: PLC0415

    if account and every_account:
        raise Malformed("Name the accounts, or say --every-account, not both.")
    accounts = None if every_account else account or []
    add_client(out, folder, client, scopes=scope or [], accounts=accounts, key=key, mandate=mandate)


@client_app.command("rotate")
def client_rotate(
    folder: Folder,
    client: ClientId,
    overlap_days: Annotated[int, typer.Option(help="Days that the old one still counts.", min=0, max=30)] = 7,
    key: KeyFile = None,
) -> None:
    """Give a client a new secret (printed once), or a new key, beside the old one."""
    from timebank_node.commands_clients import rotate_client  # noqa: PLC0415

    rotate_client(out, folder, client, overlap_days=overlap_days, key=key)


@client_app.command("list")
def client_list(folder: Folder) -> None:
    """Print the clients and what each may do; never a secret."""
    from timebank_node.commands_clients import list_clients  # noqa: PLC0415

    list_clients(out, folder)


@client_app.command("revoke")
def client_revoke(folder: Folder, client: ClientId) -> None:
    """Take every proof from a client, for good; its id is not given again."""
    from timebank_node.commands_clients import revoke_client  # noqa: PLC0415

    revoke_client(out, folder, client)


@app.command("demo")
def demo(
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Keep each town's exported log in DIR/<town>.", file_okay=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every key and id.", min=0)] = 1,
    serve: Annotated[bool, typer.Option("--serve", help="Leave the towns running and print their addresses.")] = False,
    transfers: Annotated[
        Path | None, typer.Option(help="Your own transfers (CSV); see deploy/demo/README.md.", dir_okay=False)
    ] = None,
    kafka: Annotated[str | None, typer.Option(help="host:port of a real Kafka.")] = None,
    postgres: Annotated[str | None, typer.Option(help="DSN of a real PostgreSQL.")] = None,
    clock: Annotated[str, typer.Option(help="season: the time of each row; now: the machine's clock.")] = "season",
) -> None:
    """Three towns through half a year of exchanges, then an audit of their exported logs."""
    from timebank_node.demo import run_demo  # noqa: PLC0415

    raise typer.Exit(
        run_demo(
            out,
            out_folder=out_folder,
            seed=seed,
            serve=serve,
            transfers=transfers,
            kafka=kafka,
            postgres=postgres,
            clock=clock,
        )
    )


def _mount_audit() -> None:
    from timebank_audit.cli import app as audit_app  # noqa: PLC0415 - needs the base distribution only
    from timebank_audit.cli_figures import figures  # noqa: PLC0415

    app.add_typer(audit_app, name="audit")
    app.command("figures")(figures)


_mount_audit()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error that the user can mend is one sentence on standard error, and exit status 2.

    Args:
        arguments: words of the command line; None: those of this process.
    """
    try:
        app(arguments)
    except (Malformed, Refusal) as refused:
        _end(str(refused))
    except ModuleNotFoundError as missing:
        _end(f"This command needs the servers' libraries ({missing.name} is missing): pip install 'timebank[node]'")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}")
    except Exception as error:
        room = type(error).__module__.partition(".")[0]
        if room.startswith("timebank_"):
            _end(str(error))
        if room == "sqlalchemy":
            _end(f"The database that TIMEBANK_DIRECTORY_DATABASE names cannot be used ({type(error).__name__}).")
        raise


def _end(sentence: str) -> None:
    print(f"timebank: {sentence}", file=sys.stderr)
    sys.exit(2)
