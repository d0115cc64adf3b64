"""A node's home: the folder that holds its keys, its registry documents, its head file and what it says of itself.

    home/
      node.json          public: what the operators put into the registry
      keys/              event, log, token, tag: 32-byte seeds, each for one use, mode 600; event-next in a rotation;
                         witness where it cosigns its peers' checkpoints
      witnessed/         what it cosigned: never restored from a backup
      cosigned/          what its witnesses cosigned of its own log
      registry/          1.json, 2.json, …
      head               the greatest published size and root; head-g2, … after state was lost
      lost/g1/           the keys of a generation that is over
      snapshot           of the book: spares a start the replay, may be deleted
      journal.db, people.db, quarantine/     the embedded stores
Source: design page 2, "What signs what"; page 6, "Configuration".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Network
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.names import Identity, check_identity
from timebank_contracts.note import VerifierKey
from timebank_contracts.registry import RegisteredNode, Registry
from timebank_kit.files import atomic_write, read_secret, write_secret

KEY_USES: Final = ("event", "log", "token", "tag")
SEED_BYTES: Final = 32
NEXT_EVENT_KEY: Final = "keys/event-next.key"
WITNESS_KEY: Final = "keys/witness.key"
RETIRED_EVENT_KEY: Final = "keys/event-retired"
DEFAULT_LIMIT_MINUTES: Final = 6_000


class HomeExists(Exception):
    """The folder is a node's home already; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Home:
    """An opened home."""

    folder: Path
    identity: Identity
    described: RegisteredNode

    def seed(self, use: str) -> bytes:
        """The secret seed of a use; raises `UnsafeFile` when others can read it."""
        assert use in KEY_USES
        return read_secret(self.folder / "keys" / f"{use}.key")

    def key(self, use: str) -> SigningKey:
        """The key pair of a use."""
        return SigningKey(self.seed(use))

    @property
    def event_seeds(self) -> list[bytes]:
        """The seeds of its event keys, oldest first: two while a new one takes over."""
        following = self.folder / NEXT_EVENT_KEY
        return [self.seed("event"), *([read_secret(following)] if following.exists() else [])]

    @property
    def event_keys(self) -> list[SigningKey]:
        """Its event keys, oldest first."""
        return [SigningKey(seed) for seed in self.event_seeds]

    def next_event_key(self, random: Callable[[int], bytes]) -> SigningKey:
        """The key that takes over; it is made when there is none, and described in `node.json` beside the old one."""
        following = self.folder / NEXT_EVENT_KEY
        if not following.exists():
            write_secret(following, random(SEED_BYTES))
        self._describe([b64_encode(key.public) for key in self.event_keys])
        return self.event_keys[-1]

    def drop_event_key(self, *, is_registered: bool) -> None:
        """Forget the oldest event key for ever; the next one takes its place.

        Args:
            is_registered: a registry still names it: its public part is kept, for the home to be known by.
        """
        following = self.folder / NEXT_EVENT_KEY
        assert following.exists(), "a node always has an event key"
        if is_registered:
            atomic_write(self.folder / RETIRED_EVENT_KEY, b64_encode(self.event_keys[0].public).encode("ascii"))
        self._describe([b64_encode(self.event_keys[-1].public)])
        following.replace(self.folder / "keys" / "event.key")

    def settle_keys(self, registry: Registry | None) -> None:
        """Drop the old event key when the registry in force names the next one and not the old."""
        described = None if registry is None else registry.find(self.identity.node)
        if described is None:
            return
        if self._retired().difference(described.event_keys):
            (self.folder / RETIRED_EVENT_KEY).unlink()
        if not (self.folder / NEXT_EVENT_KEY).exists():
            return
        old, new = (b64_encode(key.public) in described.event_keys for key in self.event_keys)
        if new and not old:
            self.drop_event_key(is_registered=False)

    def _retired(self) -> set[str]:
        path = self.folder / RETIRED_EVENT_KEY
        return {path.read_text("ascii")} if path.exists() else set()

    def _describe(self, event_keys: list[str]) -> None:
        path = self.folder / "node.json"
        network, described = read_description(path)
        atomic_write(path, _description(network, msgspec.structs.replace(described, event_keys=event_keys)))

    def describe_log_keys(self, log_keys: list[str]) -> None:
        """Say in `node.json` under which log keys checkpoints are to be believed."""
        path = self.folder / "node.json"
        network, described = read_description(path)
        atomic_write(path, _description(network, msgspec.structs.replace(described, log_keys=log_keys)))

    def check_keys(self, described: RegisteredNode) -> None:
        """Raise `Malformed` unless a description of this node, such as a registry's, names its keys."""
        event = {b64_encode(key.public) for key in self.event_keys} | self._retired()
        log = {b64_encode(self.key("log").public)}
        for use, own, named in (("event", event, described.event_keys), ("log", log, described.log_keys)):
            if not own.intersection(named):
                raise Malformed(
                    f"The {use} key in {self.folder}/keys is not one that is described for {described.node}; restore "
                    "the right key, or let the operators register this one."
                )

    @property
    def vkey(self) -> str:
        """The log's verifier key, as auditors want it."""
        return VerifierKey(self.identity.origin, self.key("log").public).text

    @property
    def witness_key(self) -> SigningKey | None:
        """With which it cosigns its peers' checkpoints; None: it is no witness (`timebank witness init`)."""
        path = self.folder / WITNESS_KEY
        return SigningKey(read_secret(path)) if path.exists() else None

    @property
    def registry_folder(self) -> Path:
        return self.folder / "registry"

    @property
    def head_path(self) -> Path:
        # What an earlier generation published binds that one, and stays as evidence.
        generation = self.identity.generation
        return self.folder / ("head" if generation == "g1" else f"head-{generation}")

    def lost_event_keys(self, generation: str) -> list[SigningKey]:
        """The event keys of an earlier generation, which were put aside; raises `UnsafeFile`."""
        kept, following = self.folder / "lost" / generation, Path(NEXT_EVENT_KEY).name
        named = ["event.key", *([following] if (kept / following).exists() else [])]
        return [SigningKey(read_secret(kept / name)) for name in named]

    def begin_generation(self, generation: str, random: Callable[[int], bytes]) -> Home:
        """The same node under its next generation, with event and log keys of its own; the old ones are put aside.

        The other keys stay: they tell who the payers of lost transfers are, and whose tokens count.
        """
        kept = self.folder / "lost" / self.identity.generation
        kept.mkdir(parents=True, exist_ok=True)
        (self.folder / "lost").chmod(0o700)
        for use in ("event", "log"):
            path = self.folder / "keys" / f"{use}.key"
            path.rename(kept / path.name)
            write_secret(path, random(SEED_BYTES))
        following = self.folder / NEXT_EVENT_KEY
        if following.exists():
            following.rename(kept / following.name)
        (self.folder / RETIRED_EVENT_KEY).unlink(missing_ok=True)
        described = msgspec.structs.replace(
            self.described,
            generation=generation,
            state="open",
            event_keys=[b64_encode(self.key("event").public)],
            log_keys=[b64_encode(self.key("log").public)],
        )
        atomic_write(self.folder / "node.json", _description(self.identity.network, described))
        return open_home(self.folder)


def make_home(
    folder: Path,
    identity: Identity,
    *,
    url: str,
    limit: int = DEFAULT_LIMIT_MINUTES,
    random: Callable[[int], bytes],
) -> Home:
    """Make a node's home with fresh keys.

    Args:
        folder: is made; must hold no node yet.
        identity: of the node.
        url: where peers reach it.
        limit: default of what it and a peer may owe each other, in minutes.
        random: gives so many random bytes.

    Raises:
        HomeExists: there is a node in this folder.
        Malformed: the identity or the URL has another form.
    """
    check_identity(identity)
    if (folder / "node.json").exists() or (folder / "keys").exists():
        raise HomeExists(f"{folder} holds a node already; choose another folder, or delete this one first.")
    seeds = {use: random(32) for use in KEY_USES}
    described = RegisteredNode(
        node=identity.node,
        generation=identity.generation,
        state="open",
        event_keys=[b64_encode(SigningKey(seeds["event"]).public)],
        log_keys=[b64_encode(SigningKey(seeds["log"]).public)],
        protocols=[1],
        url=url,
        limit=limit,
    )
    text = _description(identity.network, described)
    try:
        _parse(text)
    except msgspec.ValidationError as error:
        raise Malformed(f"This node cannot be described so: {error}.") from error
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    # Names and balances lie here beside the keys, in files that the databases make readable to all.
    folder.chmod(0o700)
    (folder / "keys").chmod(0o700)
    (folder / "registry").mkdir(exist_ok=True)
    for use, seed in seeds.items():
        write_secret(folder / "keys" / f"{use}.key", seed)
    atomic_write(folder / "node.json", text)
    return open_home(folder)


def _description(network: str, described: RegisteredNode) -> bytes:
    said = {"network": network, **msgspec.to_builtins(described)}
    return json.dumps(said, indent=2).encode("ascii") + b"\n"


class _Description(RegisteredNode, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `node.json` says: the node as the registry names it, and its network."""

    network: Network


def read_description(path: Path) -> tuple[str, RegisteredNode]:
    """The network and the node that a `node.json` describes; raises `Malformed`."""
    try:
        said = _parse(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Malformed(f"{path} does not describe a node ({error}); make one with `timebank node init`.") from error
    fields = {name: getattr(said, name) for name in RegisteredNode.__struct_fields__}
    check_identity(Identity(said.network, said.node, said.generation))
    return said.network, RegisteredNode(**fields)


def _parse(text: bytes) -> _Description:
    if b"\\" in text:
        # A pattern's end also stands before a line feed: no string may bring one.
        raise msgspec.ValidationError("no string has an escape")
    return msgspec.json.decode(text, type=_Description)


def open_home(folder: Path) -> Home:
    """Open a node's home; raises `Malformed` when there is none, `UnsafeFile` when a key can be read by others."""
    network, described = read_description(folder / "node.json")
    home = Home(folder, Identity(network, described.node, described.generation), described)
    for use in KEY_USES:
        if len(home.seed(use)) != SEED_BYTES:
            raise Malformed(
                f"{folder}/keys/{use}.key is damaged: it has {SEED_BYTES} bytes; restore it from its backup."
            )
    home.check_keys(described)
    return home
