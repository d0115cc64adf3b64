"""Federation: the way between towns. Read `sender.py` and `receiver.py` first; the room's README tells the rest."""
