"""The words of `timebank network`; `commands_network.py` does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from timebank_contracts.errors import Malformed

if TYPE_CHECKING:
    from timebank_node.registry_changes import Change

app = typer.Typer(no_args_is_help=True, help="A network: its operators make, change and sign its registry.")
out = Console(highlight=False, soft_wrap=True)
Key = Annotated[str | None, typer.Option(help="A public key (base64).")]
NewFile = Annotated[Path, typer.Option("--out", help="The file to write.", dir_okay=False)]


@app.command("init")
def network_init(
    nodes: Annotated[list[Path], typer.Argument(help="node.json of each node.", exists=True, dir_okay=False)],
    operator: Annotated[list[str], typer.Option(help="An operator's public key (base64); once for each.")],
    out_file: NewFile,
    k: Annotated[int, typer.Option(help="How many operators must sign.", min=1, max=20)] = 1,
) -> None:
    """Write version 1 of a network's registry, for its operators to sign."""
    from timebank_node.commands_network import init_network  # noqa: PLC0415 - a room loads when its command runs

    init_network(out, nodes, operator, out_file, k=k)


@app.command("propose")
def network_propose(
    in_force: Annotated[Path, typer.Argument(help="A node's home, or the signed document in force.", exists=True)],
    out_file: NewFile,
    request: Annotated[
        Path | None, typer.Option(help="A node's request: to join, to leave, other keys.", exists=True)
    ] = None,
    add_node: Annotated[Path | None, typer.Option(help="node.json of a node that joins.", exists=True)] = None,
    close: Annotated[str | None, typer.Option(help="A node that leaves for ever.")] = None,
    suspend: Annotated[str | None, typer.Option(help="A node with which nobody begins a transfer.")] = None,
    reopen: Annotated[str | None, typer.Option(help="A node that was suspended.")] = None,
    add_operator: Key = None,
    remove_operator: Key = None,
    k: Annotated[int | None, typer.Option(help="How many operators must sign.", min=1, max=20)] = None,
    limit_hours: Annotated[str | None, typer.Option(help="NODE=HOURS: a node's default limit.")] = None,
    url: Annotated[str | None, typer.Option(help="NODE=URL: where a node is reached.")] = None,
    protocols: Annotated[str | None, typer.Option(help="NODE=1,2: protocol versions that a node speaks.")] = None,
    add_witness: Annotated[str | None, typer.Option(help="NAME=KEY@URL: who cosigns checkpoints.")] = None,
    remove_witness: Annotated[str | None, typer.Option(help="A witness's name.")] = None,
) -> None:
    """Write the next version with exactly one change, for the operators to sign."""
    from timebank_node import asked_changes as asked  # noqa: PLC0415
    from timebank_node.commands_network import propose, read_in_force  # noqa: PLC0415

    choices: list[tuple[Any, Callable[[Any], Change]]] = [
        (request, lambda file: asked.requested(file, read_in_force(in_force))),
        (add_node, lambda file: asked.joining(file, read_in_force(in_force))),
        (close, lambda node: asked.set_state(node, "closed")),
        (suspend, lambda node: asked.set_state(node, "suspended")),
        (reopen, lambda node: asked.set_state(node, "open")),
        (add_operator, lambda key: asked.set_operators(add=key)),
        (remove_operator, lambda key: asked.set_operators(remove=key)),
        (k, lambda number: asked.set_operators(k=number)),
        (limit_hours, asked.limit),
        (url, asked.address),
        (protocols, asked.protocols),
        (add_witness, asked.witness),
        (remove_witness, asked.remove_witness),
    ]
    given = [change(words) for words, change in choices if words is not None]
    if len(given) != 1:
        raise Malformed(
            "Name exactly one change; the next one is the next version. See: timebank network propose --help"
        )
    propose(out, in_force, given[0], out_file)


@app.command("sign")
def network_sign(
    files: Annotated[
        list[Path],
        typer.Argument(help="The registry document; or node.json of each node.", exists=True, dir_okay=False),
    ],
    operator: Annotated[list[Path], typer.Option(help="An operator's key file; once for each.", exists=True)],
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The file to write; none: the document itself.", dir_okay=False)
    ] = None,
    k: Annotated[int, typer.Option(help="How many must sign later versions, where nodes are named.", min=1)] = 1,
) -> None:
    """Add an operator's signature to a document; of node.json files, make and sign version 1 at once."""
    from timebank_node.commands_keys import sign_registry  # noqa: PLC0415
    from timebank_node.commands_network import sign_document  # noqa: PLC0415

    if len(files) == 1 and not _describes_a_node(files[0]):
        for key in operator:
            sign_document(out, files[0], key, out_file)
            files = [out_file or files[0]]
    elif out_file is None:
        raise Malformed("Name the file for the registry: --out registry.json")
    else:
        sign_registry(out, files, operator, out_file, k=k)


def _describes_a_node(file: Path) -> bool:
    from timebank_node.home import read_description  # noqa: PLC0415

    try:
        read_description(file)
    except Malformed:
        return False
    return True


@app.command("publish")
def network_publish(
    documents: Annotated[
        list[Path], typer.Argument(help="The signed document; several: one document, signed apart.", exists=True)
    ],
    home: Annotated[Path | None, typer.Option(help="A node's home on this machine.", exists=True)] = None,
    url: Annotated[str | None, typer.Option(help="A running node; needs --token-file.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="Secret file of an operator's token.", exists=True)] = None,
) -> None:
    """Verify a version against the one in force and put it where a node finds it; peers fetch it from there."""
    from timebank_node.commands_network import publish, publish_to  # noqa: PLC0415

    if home is not None and url is None:
        publish(out, documents, home)
    elif url is not None and token_file is not None and home is None:
        publish_to(out, documents, url, token_file)
    else:
        raise Malformed("Say where: --home HOME, or --url URL with --token-file FILE.")


@app.command("show")
def network_show(
    document: Annotated[Path, typer.Argument(help="A document, signed or not, or a node's home.", exists=True)],
    before: Annotated[
        Path | None, typer.Option(help="A node's home, or the document before: say what differs.", exists=True)
    ] = None,
) -> None:
    """Print a registry on one page: hash, who signed, and what differs from the version before."""
    from timebank_node.commands_network import show_document  # noqa: PLC0415

    show_document(out, document, before)
