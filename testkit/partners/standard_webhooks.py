"""Messages of a running server against the Python library of Standard Webhooks.

Usage: standard_webhooks.py TOLLKEEPER MESSAGES
  TOLLKEEPER  the program
  MESSAGES    a file that is written: the messages as they arrived, for standard_webhooks.mjs

A server sends a ping, a message about an entry, and one while an old and a new secret sign. Each must
be verified with every secret that signed it, and refused with another one or after a change.
"""

import http.server
import json
import pathlib
import queue
import sys
import tempfile
import threading
import time

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tollkeeper_server import SECONDS, Server

OTHER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts each message and keeps it."""

    received = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.received.put({"headers": headers, "body": body})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def sent_messages(program):
    """What a server sends: each message with its type, the secrets that signed it, and the others."""
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    port = receiver.server_address[1]
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, directory, {"WEBHOOKS_ALLOW_HTTP": "true", "WEBHOOKS_ALLOW_PRIVATE": "true",
                                             "WEBHOOKS_PORTS": str(port)})
        try:
            endpoint = server.post("/v1/webhook-endpoints", {"url": f"http://127.0.0.1:{port}/hook",
                                                             "kinds": ["grant.created"]})
            one, first = f"/v1/webhook-endpoints/{endpoint['id']}", endpoint["secret"]
            messages = []

            def arrived(kind, signed, others):
                message = Receiver.received.get(timeout=SECONDS)
                assert json.loads(message["body"])["type"] == kind, message["body"]
                messages.append({**message, "type": kind, "signed": signed, "others": others})

            assert server.post(f"{one}/ping")["accepted"]
            arrived("ping", [first], [OTHER_SECRET])
            server.post("/v1/workspaces", {"id": "acme", "name": "Acme"})
            grant = {"source": "promotional", "amount": 500, "reason": "Grüße"}
            server.post("/v1/workspaces/acme/grants", grant, "first")
            arrived("grant.created", [first], [OTHER_SECRET])
            second = server.post(f"{one}/rotate-secret")["secret"]
            assert second != first
            server.post("/v1/workspaces/acme/grants", grant, "second")
            arrived("grant.created", [first, second], [OTHER_SECRET])
            assert server.post(f"{one}/ping")["accepted"]
            arrived("ping", [first, second], [OTHER_SECRET])
            return messages
        finally:
            server.stop()
            receiver.shutdown()


def is_verified(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def check(message):
    headers, body = message["headers"], message["body"]
    for secret in message["signed"]:
        assert is_verified(secret, body, headers), (message["type"], "is not verified", headers)
        assert not is_verified(secret, body.replace("timestamp", "timestamq"), headers), "another body"
        for name, other in [("webhook-id", "msg_0"), ("webhook-timestamp", str(int(time.time()) - 3_600)),
                            ("webhook-timestamp", str(int(headers["webhook-timestamp"]) + 1))]:
            assert not is_verified(secret, body, {**headers, name: other}), f"another {name}"
    for secret in message["others"]:
        assert not is_verified(secret, body, headers), "another secret"
    assert len(headers["webhook-signature"].split(" ")) == len(message["signed"])


def main(program, target):
    messages = sent_messages(program)
    for message in messages:
        check(message)
    pathlib.Path(target).write_text(json.dumps(messages), encoding="utf-8")
    print(f"standardwebhooks for Python: {len(messages)} messages verified, changed ones refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
