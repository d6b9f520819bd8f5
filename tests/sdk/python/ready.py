"""What the server under test says of itself."""

import json
import os

with open(os.environ["TIDINGS_READY"], encoding="utf-8") as file:
    READY = json.load(file)
