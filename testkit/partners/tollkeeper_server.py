"""A running server, for the scripts that check what it sends with libraries of others."""

import json
import os
import pathlib
import re
import subprocess
import time
import urllib.request

KEY = "tk_platform_of_the_partners"
SECONDS = 30


class Server:
    """A server with an empty data directory. `settings` are environment variables without TOLLKEEPER_."""

    def __init__(self, program, directory, settings):
        environment = {"PATH": os.environ["PATH"], "TOLLKEEPER_PLATFORM_KEY": KEY}
        environment |= {f"TOLLKEEPER_{name}": value for name, value in settings.items()}
        self.log = pathlib.Path(directory, "log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--data", str(pathlib.Path(directory, "data")), "--listen", "127.0.0.1:0"],
                env=environment, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(SECONDS * 10):
            found = re.search(r"listening on (http://[0-9.:]+)", self.log.read_text(encoding="utf-8"))
            if found:
                self.url = found[1]
                return
            time.sleep(0.1)
        self.stop()
        raise AssertionError(f"the server does not start: {self.log.read_text(encoding='utf-8')}")

    def stop(self):
        """Lets it end as an operator does, and returns its exit code."""
        self.process.terminate()
        return self.process.wait(SECONDS)

    def post(self, path, body=None, key=None, headers=None):
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **(headers or {})}
        if key:
            headers["idempotency-key"] = key
        data = json.dumps(body).encode() if body is not None else b""
        request = urllib.request.Request(self.url + path, data, headers, method="POST")
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return json.load(response)
