"""Whether the process in this container is ready: the image's health check. Standard library alone.

It asks `/readyz` at TIMEBANK_HEALTH_URL, in which `{host}` is this container's own name. Exit status 0 or 1, and a line
that `docker inspect` keeps.
"""

from __future__ import annotations

import os
import socket
import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

SECONDS_MAX = 5.0
BYTES_MAX = 2_000


def main() -> int:
    """Ask once; returns the exit status."""
    url = os.environ.get("TIMEBANK_HEALTH_URL", "http://127.0.0.1:8100").replace("{host}", socket.gethostname())
    try:
        with urlopen(f"{url.rstrip('/')}/readyz", timeout=SECONDS_MAX) as answer:  # noqa: S310 - the operator's own URL
            print(answer.read(BYTES_MAX).decode("utf-8", "replace"))
            return 0
    except HTTPError as refused:
        print(refused.read(BYTES_MAX).decode("utf-8", "replace"))
    except (URLError, OSError, ValueError) as error:
        print(f"{url} does not answer: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
