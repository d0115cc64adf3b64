"""Whether the process in this container is ready: the image's health check. Standard library alone.

It asks `/readyz` at TIMEBANK_HEALTH_URL. Exit status 0 or 1, and a line that `docker inspect` keeps.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

SECONDS_MAX = 5.0
BYTES_MAX = 2_000
ALL_IN_ONE = "http://127.0.0.1:8100"


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Ask once; returns the exit status."""
    url = environ.get("TIMEBANK_HEALTH_URL", ALL_IN_ONE).rstrip("/")
    try:
        with urlopen(f"{url}/readyz", timeout=SECONDS_MAX) as answer:  # noqa: S310 - the operator's own URL
            print(answer.read(BYTES_MAX).decode("utf-8", "replace"))
            return 0
    except HTTPError as refused:
        with refused:
            print(refused.read(BYTES_MAX).decode("utf-8", "replace"))
    except (OSError, ValueError, HTTPException) as error:
        print(f"{url} does not answer: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
