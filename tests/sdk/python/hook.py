"""A webhook receiver on loopback: it answers the handshakes, and accepts before it looks, as the documentation
asks for."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ARRIVES_SECONDS_MAX = 20


class Hook:
    """Keeps the body of each request until it is closed, and what it was asked by OPTIONS. It wants events of whoever
    asks, or says nothing."""

    def __init__(self, allows=True):
        self.bodies, self.arrived, self.asked = [], threading.Condition(), []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self):
                hook.asked.append(dict(self.headers.items()))
                self.send_response(200)
                if allows:
                    self.send_header("WebHook-Allowed-Origin", self.headers["WebHook-Request-Origin"])
                    self.send_header("WebHook-Allowed-Rate", "*")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                token = parse_qs(urlsplit(self.path).query).get("validationToken")
                answer = token[0].encode() if token else b""
                self.send_response(200 if token else 202)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                if not token:
                    with hook.arrived:
                        hook.keep(self.headers, body)
                        hook.arrived.notify_all()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def keep(self, _headers, body):
        self.bodies.append(json.loads(body))

    def until(self, what, found):
        """What is found in what came or is still to come."""
        with self.arrived:
            assert self.arrived.wait_for(found, ARRIVES_SECONDS_MAX), f"nothing was told of {what}"
            return found()

    def told(self, change_type, item):
        """The notification of a change of an item, and the body that it came in."""

        def found():
            for body in self.bodies:
                for notification in body["value"]:
                    told = notification["changeType"], notification["resourceData"]["id"]
                    if told == (change_type, item):
                        return notification, body
            return None

        return self.until(f"{change_type} {item}", found)
