"""A receiver made with the crate that apps link: the example that prints the data which comes with notifications."""

import os
import queue
import subprocess
import tempfile
import threading
import uuid
from pathlib import Path

import requests
from cryptography.hazmat.primitives.serialization import PrivateFormat

# As the example names its certificate.
CERTIFICATE_ID = "example"
PRINTS_SECONDS_MAX = 20


class Linked:
    """Runs until it is closed."""

    def __init__(self, pair, server, ca, app):
        self.directory = tempfile.TemporaryDirectory()
        key = Path(self.directory.name, "key.pem")
        key.write_bytes(pair.private_pem(PrivateFormat.PKCS8))
        command = [os.environ["TIDINGS_RECEIVER"], "127.0.0.1:0", server, ca, app, f"{CERTIFICATE_ID}={key}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.url = self.line().removeprefix("listening at ")

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip())

    def line(self):
        """The next line that it prints."""
        return self.lines.get(timeout=PRINTS_SECONDS_MAX)

    def told(self, notification, tokens):
        """The status with which it answers, and what it prints."""
        # By its id it would be known for one that came before.
        body = {"value": [notification | {"id": str(uuid.uuid4())}], "validationTokens": tokens}
        return requests.post(self.url, json=body).status_code, self.line()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()
