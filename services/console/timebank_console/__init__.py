"""The console: web pages over the rooms' HTTP APIs, a client like any other. For now one page: the town at a glance."""
