"""What the image is made with: `pick.py` chooses, `timebank_ready.py` asks whether the process in it is ready."""
