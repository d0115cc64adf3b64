"""Two nodes with one id: a home that would write into the journal of another node of the same name is refused.

The journal says which registry it follows, the registry says whose keys are the node's, the home has keys.
Source: design page 6, "Configuration".
"""

from __future__ import annotations

from timebank_contracts import dsse
from timebank_contracts.book import Book
from timebank_contracts.errors import Malformed
from timebank_contracts.registry import PAYLOAD_TYPE, read_registry
from timebank_federation.registries import Registries
from timebank_node.home import Home


def check_identity_is_ours(home: Home, registries: Registries, book: Book) -> None:
    """Refuse to open a journal that another node of this id may be writing.

    Args:
        home: its keys count.
        registries: those that the home holds.
        book: of the journal.

    Raises:
        Malformed: the registry in force is another one or is not held, or it names other keys.
    """
    latest = registries.latest
    if book.registry_version and latest is None:
        raise Malformed(
            f"The journal follows version {book.registry_version} of the registry and {home.folder} holds none: "
            "put its registry folder back, or `timebank node accept` the registry. If this home is a second one of "
            f"{home.identity.node}, do not serve it: a node's id belongs to one."
        )
    if latest is None:
        return
    in_force = registries.envelope(book.registry_version)
    if in_force is not None and _hash_of(in_force) != book.registry_sha256:
        raise Malformed(
            f"The journal of {home.identity.node} follows another registry than {home.folder} accepted: it is another "
            "node's of the same id. Set TIMEBANK_LEDGER_JOURNAL_URL to this node's journal, or use that node's home."
        )
    named = latest.find(home.identity.node)
    if named is not None and named.generation == home.identity.generation:
        home.check_keys(named)


def _hash_of(envelope: bytes) -> str:
    """Of a document that was verified when it was kept."""
    return read_registry(dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE)).sha256
