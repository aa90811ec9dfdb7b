"""Running servers, and both clients, for tests.

`TOLLKEEPER` names the program. Each test gets the synchronous and then the asynchronous client; the
latter is made to look like the former, so that one test is for both.
"""

import itertools
import os
import pathlib
import sys

import httpx
import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "testkit/partners")]

from support import Blocking, Proxy  # noqa: E402
from tollkeeper_server import KEY, Server  # noqa: E402

from tollkeeper import AsyncClient, Client  # noqa: E402

PROGRAM = os.environ.get("TOLLKEEPER", str(HERE.parents[2] / "target/debug/tollkeeper"))
NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def program():
    return PROGRAM


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts servers, which are stopped at the end."""
    servers = []

    def begin(**settings):
        directory = tmp_path_factory.mktemp("server")
        servers.append(Server(PROGRAM, directory, {"PAYMENTS": "manual", **settings}))
        return servers[-1]

    yield begin
    assert all([server.stop() == 0 for server in servers])


@pytest.fixture(scope="session")
def server(start):
    return start()


@pytest.fixture(params=["sync", "async"])
def connect(request):
    """Makes clients. `seen` is called with each answer."""
    clients = []

    def make(url, key=KEY, seen=None, **settings):
        if request.param == "sync":
            hooks = {"response": [seen]} if seen else {}
            client = Client(url, key, http_client=httpx.Client(event_hooks=hooks), **settings)
        else:

            async def note(response):
                seen(response)

            hooks = {"response": [note]} if seen else {}

            def begin():
                return AsyncClient(url, key, http_client=httpx.AsyncClient(event_hooks=hooks), **settings)

            client = Blocking(begin)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect, server):
    return connect(server.url)


@pytest.fixture
def workspace(client):
    """A workspace with 10 dollars of credit."""
    name = f"w{next(NUMBERS)}"
    client.workspaces.create({"id": name, "name": "Acme"})
    client.grants.create(name, {"source": "promotional", "amount": 1_000_000, "reason": "test"})
    return name


@pytest.fixture
def proxy(server):
    """A proxy before the server that can disturb."""
    with Proxy(server.url) as one:
        yield one
