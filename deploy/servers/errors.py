"""What can go wrong with a server of the tests; both texts say what to do.

ServerMissing   nothing on this machine can be started: one sentence says what to install
ServerTrouble   something was started (or fetched) and failed: the sentence names the log
"""

from __future__ import annotations


class ServerMissing(Exception):
    """No way to run this server was found."""


class ServerTrouble(Exception):
    """A server, or what it is made of, did not do what it should."""
