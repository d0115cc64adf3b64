"""Composition: the `timebank` command, a node's home, one process for all rooms or one for each, the demo."""

from importlib.metadata import version

__version__ = version("timebank")
