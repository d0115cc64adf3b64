"""The conformance kit: plays peer towns against one node, and reports rule by rule of PROTOCOL.md."""
