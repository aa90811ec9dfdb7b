"""One attempt over the network, and pauses, in a synchronous and an asynchronous form.

A timeout of httpx counts each wait for bytes. The asynchronous form bounds the whole attempt. The
synchronous one is checked between parts of the body, so it bounds an attempt once the head of the
answer has come.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from .errors import ConnectionFailedError, DeadlineExceededError, TollkeeperError

sleep = time.sleep
sleep_async = asyncio.sleep


def failure(error: Exception, seconds: float) -> TollkeeperError:
    """The error for one of httpx."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)):
        return ConnectionFailedError(f"no connection: {error!r}", was_sent=False)
    if isinstance(error, (httpx.TimeoutException, asyncio.TimeoutError)):
        return DeadlineExceededError(f"no answer in {seconds:.3g} seconds")
    return ConnectionFailedError(f"the connection broke: {error!r}", was_sent=True)


def refuse_closed(client: httpx.Client | httpx.AsyncClient) -> None:
    if client.is_closed:
        raise TollkeeperError("the client is closed")


def exchange(client: httpx.Client, request: dict[str, Any], seconds: float) -> httpx.Response:
    refuse_closed(client)
    ends = time.monotonic() + seconds
    try:
        with client.stream(**request, timeout=seconds) as response:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > ends:
                    raise httpx.ReadTimeout("the answer is too slow")
            return whole(response, b"".join(parts))
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise failure(error, seconds) from error


async def exchange_async(client: httpx.AsyncClient, request: dict[str, Any], seconds: float) -> httpx.Response:
    refuse_closed(client)
    try:
        return await asyncio.wait_for(client.request(**request, timeout=seconds), seconds)
    except (httpx.HTTPError, httpx.StreamError, asyncio.TimeoutError) as error:
        raise failure(error, seconds) from error


def whole(response: httpx.Response, body: bytes) -> httpx.Response:
    """The response with its body, which httpx has decoded already."""
    headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}
    return httpx.Response(response.status_code, headers=headers, content=body, request=response.request)
