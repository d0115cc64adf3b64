"""Every operation of the three documents under generated requests, good and bad: what comes back is documented.

schemathesis makes the requests from the document; `tests/documented.py` judges the answers. `make fuzz` asks for more
of them, with new randomness each time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.rooms import DOCUMENTS, Room, open_room

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("TIMEBANK_FUZZ_EXAMPLES", "0"))
BOUNDED = settings(
    max_examples=EXAMPLES or 8,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
REFUSED = [str(status) for status in range(400, 500)] + ["503"]
"""What may be said to a request that is not of the documented form."""
_keys = count(1)
_GOOD_KEY = re.compile(r"[!-~]{1,200}")


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def schema_of(room: str) -> Any:
    """The document as schemathesis reads it: the tests bring the tokens, so nothing says that one is needed."""
    open_to_all = deepcopy(DOCUMENTS[room].document)
    open_to_all.get("components", {}).pop("securitySchemes", None)
    for methods in open_to_all["paths"].values():
        for operation in methods.values():
            del operation["security"]
    told = {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
    return schemathesis.openapi.from_dict(open_to_all, config=SchemathesisConfig.from_dict(told))


OPERATIONS = {
    f"{room}-{operation.definition.raw['operationId']}": (room, operation)
    for room in DOCUMENTS
    for operation in (found.ok() for found in schema_of(room).get_all_operations())
}
NOTHING_TO_SPOIL = {
    name for name, (_, operation) in OPERATIONS.items() if not list(operation.iter_parameters()) and not operation.body
} | {
    "federation-addCheckpoint",
    "federation-getRegistry",
    "federation-getWitnessed",
    "ledger-sayContradiction",
    "ledger-takeSegment",
}
"""Operations that take nothing, or any text or bytes at all."""


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Room]]:
    with (
        open_room("ledger", tmp_path_factory.mktemp("ledger")) as ledger,
        open_room("directory", tmp_path_factory.mktemp("directory")) as directory,
        open_room("federation", tmp_path_factory.mktemp("federation")) as federation,
    ):
        yield {room.name: room for room in (ledger, directory, federation)}


def request_of(case: schemathesis.Case[Any], room: Room, operation: Any) -> httpx.Request:
    """The case as it goes over the wire, with a token; one that no client can send is not asked for."""
    try:
        told = case.as_transport_kwargs(base_url=str(room.http.base_url).rstrip("/"))
        sent = requests.Request(**told).prepare()
        headers = {name.lower(): value for name, value in sent.headers.items()}
        own = {name.lower(): value for name, value in room.headers(operation).items()}
        if "idempotency-key" in own and not _GOOD_KEY.fullmatch(str(headers.get("idempotency-key", ""))):
            del own["idempotency-key"]
        raw = [(name.encode("ascii"), str(value).encode("latin-1")) for name, value in (headers | own).items()]
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        assert body is None or isinstance(body, bytes)
        return httpx.Request(str(sent.method), str(sent.url), headers=raw, content=body)
    except (httpx.InvalidURL, requests.exceptions.RequestException, UnicodeError):
        reject()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_whatever_is_asked_the_answer_is_documented(rooms: dict[str, Room], name: str, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and name in NOTHING_TO_SPOIL:
        pytest.skip("nothing that it takes can be of another form")
    room_name, operation = OPERATIONS[name]
    room = rooms[room_name]
    said = room.documented.operations[operation.definition.raw["operationId"]]

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode), bind=st.booleans())
    def ask(case: schemathesis.Case[Any], *, bind: bool) -> None:
        if bind and mode is GenerationMode.POSITIVE and case.path_parameters:
            case.path_parameters = {part: room.bound.get(part, value) for part, value in case.path_parameters.items()}
        request = request_of(case, room, said)
        answer = room.http.send(request)
        answer.elapsed = timedelta()  # the bridge does not close what httpx would measure
        try:
            room.documented.check(said, answer)
            case.validate_response(answer, checks=[negative_data_rejection])
        except BaseException:
            print(request.method, request.url, dict(request.headers), request.content[:2_000])
            raise

    ask()
