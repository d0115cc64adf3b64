"""Asking a server that is not ours: an answer is bounded in size and in time, whatever the other side does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx


def fetch(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    bytes_max: int,
    seconds_max: float,
    headers: Mapping[str, str],
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    content: bytes | None = None,
) -> httpx.Response:
    """The whole answer to a request.

    Args:
        http: its own time-outs bound each step; redirects are not followed.
        bytes_max: of the answer's body.
        seconds_max: from the request to the body's last byte.

    Raises:
        httpx.HTTPError: no answer, a larger or slower one, one in another encoding, or a URL that is none.
    """
    until = time.monotonic() + seconds_max
    # Encoded bytes could unfold to any size.
    asked = {**headers, "Accept-Encoding": "identity"}
    try:
        with http.stream(
            method, url, headers=asked, params=params, json=json, content=content, follow_redirects=False
        ) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise httpx.DecodingError("The answer is encoded, which was not asked for.")
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > bytes_max:
                    raise httpx.ReadError(f"The answer has more than {bytes_max} bytes.")
                if time.monotonic() > until:
                    raise httpx.ReadTimeout(f"The answer took more than {seconds_max:g} seconds.")
            return httpx.Response(answer.status_code, headers=answer.headers, content=body, request=answer.request)
    except httpx.InvalidURL as error:
        raise httpx.UnsupportedProtocol(f"This is no address: {error}") from error
