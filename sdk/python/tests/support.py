"""What tests need: a proxy that disturbs, and an asynchronous client that looks synchronous."""

import asyncio
import inspect
import json
import re
import socket
import threading
from urllib.parse import urlsplit

from tollkeeper import AsyncPages


class Proxy:
    """Passes requests to a server. `plan` says what happens to the next ones instead:

    ``cut``   the server answers, and the client gets nothing
    ``half``  the client gets the first half of the answer
    ``hang``  nothing is sent until the end
    bytes     the client gets these, and the server nothing
    """

    def __init__(self, url):
        parts = urlsplit(url)
        self.upstream = (parts.hostname, parts.port)
        self.plan, self.requests = [], []
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.listener.close()

    def keys(self):
        """The idempotency keys that were sent."""
        return [re.search(rb"(?im)^idempotency-key: (.*?)\r$", one)[1].decode() for one in self.requests]

    def _accept(self):
        while not self.ended.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            request = read_request(connection)
            if not request:
                return
            self.requests.append(request)
            action = self.plan.pop(0) if self.plan else "pass"
            if action == "hang":
                self.ended.wait()
            elif isinstance(action, bytes):
                connection.sendall(action)
            else:
                answer = self._ask(request)
                connection.sendall({"pass": answer, "half": answer[: len(answer) // 2], "cut": b""}[action])

    def _ask(self, request):
        head, _, body = request.partition(b"\r\n\r\n")
        head = re.sub(rb"(?im)^connection: .*\r\n", b"", head + b"\r\n") + b"connection: close\r\n\r\n"
        with socket.create_connection(self.upstream) as upstream:
            upstream.sendall(head + body)
            return b"".join(iter(lambda: upstream.recv(65_536), b""))


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            return b""
        data += part
    length = re.search(rb"(?i)content-length: (\d+)", data)
    while length and len(data.partition(b"\r\n\r\n")[2]) < int(length[1]):
        data += connection.recv(65_536)
    return data


def answer(status, value, *headers, kind="application/json"):
    """The bytes of an answer."""
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def problem(status, code, *headers, retryable=False, **members):
    """The bytes of a problem."""
    value = {"type": f"urn:tollkeeper:problem:{code}", "title": code, "status": status, "detail": "A test.",
             "code": code, "retryable": retryable, **members}
    return answer(status, value, *headers, kind="application/problem+json")


class Blocking:
    """An asynchronous object that looks synchronous. Its loop runs in a thread."""

    def __init__(self, make):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.wrapped = self.wait(self._made(make))

    async def _made(self, make):
        return make()

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def close(self):
        self.wait(self.wrapped.close())
        self.loop.call_soon_threadsafe(self.loop.stop)

    def run(self, workspace, request, function, **options):
        async def in_thread(running):
            return await asyncio.to_thread(function, running)

        return self.wait(self.wrapped.run(workspace, request, in_thread, **options))

    def __getattr__(self, name):
        return Facade(self, getattr(self.wrapped, name))


class Facade:
    """A resource or a list of an asynchronous client."""

    def __init__(self, blocking, wrapped):
        self.blocking, self.wrapped = blocking, wrapped

    def __getattr__(self, name):
        return Facade(self.blocking, getattr(self.wrapped, name))

    def __call__(self, *values, **options):
        value = self.wrapped(*values, **options)
        if inspect.iscoroutine(value):
            return self.blocking.wait(value)
        return Facade(self.blocking, value) if isinstance(value, AsyncPages) or inspect.isasyncgen(value) else value

    def __iter__(self):
        rows = self.wrapped.__aiter__()
        while True:
            try:
                yield self.blocking.wait(rows.__anext__())
            except StopAsyncIteration:
                return

    def close(self):
        self.blocking.wait(self.wrapped.aclose())
