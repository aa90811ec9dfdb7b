"""Sends calls and repeats them, asynchronously; lists page by page; reads streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlencode

import httpx

from .._attempts import Attempts, Bounds
from .._call import VERSION, Call, CallOptions, Page
from .._exchange import exchange_async, failure, sleep_async
from .._stream import StreamEvent, StreamParser
from ..errors import TollkeeperError, UnexpectedAnswerError

T = TypeVar("T")


class AsyncSender:
    """Holds the connection, the key and the bounds of calls."""

    def __init__(self, base_url: str, key: str, bounds: Bounds, http_client: httpx.AsyncClient | None) -> None:
        self.base_url = base_url.rstrip("/")
        self.bounds = bounds
        self.http = http_client or httpx.AsyncClient()
        self.owns_http = http_client is None
        self.headers = {"authorization": f"Bearer {key}", "user-agent": f"tollkeeper-python/{VERSION}"}

    async def close(self) -> None:
        if self.owns_http:
            await self.http.aclose()

    async def send(self, call: Call[T], options: CallOptions) -> T:
        answer, _ = await self.send_counted(call, options)
        return answer

    async def send_counted(self, call: Call[T], options: CallOptions) -> tuple[T, Attempts]:
        """The answer with the attempts that it took. All have the same idempotency key."""
        refuse_unknown(call, options)
        key = cast("str | None", options.get("idempotency_key"))
        request = call.request(self.headers, key)
        request["url"] = self.base_url + request["url"]
        attempts = Attempts(self.bounds.with_options(options, call.wait_seconds), call.is_repeatable)
        while True:
            seconds = attempts.begin()
            try:
                return call.answer(await exchange_async(self.http, request, seconds)), attempts
            except TollkeeperError as error:
                pause = attempts.pause_after(error)
            await sleep_async(pause)

    async def stream(self, path: str, query: Mapping[str, Any], seconds: float) -> AsyncIterator[StreamEvent]:
        """The events of one connection. It ends with the connection, or after a silence."""
        headers = {**self.headers, "accept": "text/event-stream"}
        address = f"{self.base_url}{path}" + (f"?{urlencode(query)}" if query else "")
        parser = StreamParser()
        try:
            async with self.http.stream("GET", address, headers=headers, timeout=seconds) as response:
                if not response.is_success:
                    await response.aread()
                    Call[None]("GET", path).answer(response)
                async for line in response.aiter_lines():
                    event = parser.line(line)
                    if event is not None:
                        yield event
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise failure(error, seconds) from error


def refuse_unknown(call: Call[Any], options: Mapping[str, Any]) -> None:
    """Refuses options that do not exist, such as a key for a call that has none."""
    known = set(CallOptions.__annotations__) | ({"idempotency_key"} if call.is_keyed else set())
    unknown = set(options) - known
    if unknown:
        raise TypeError(f"{call.method} {call.path} has no option {sorted(unknown)[0]}")


class AsyncPages(Generic[T]):
    """A list. Iterating gives each row; `pages` gives the pages, and `first` the first one."""

    def __init__(self, sender: AsyncSender, path: str, query: Mapping[str, Any] | None, options: CallOptions) -> None:
        self._sender, self._path, self._query, self._options = sender, path, dict(query or {}), options

    async def first(self) -> Page[T]:
        return await self._sender.send(Call[Page[T]]("GET", self._path, self._query), self._options)

    async def pages(self) -> AsyncIterator[Page[T]]:
        query = dict(self._query)
        while True:
            page = await self._sender.send(Call[Page[T]]("GET", self._path, query), self._options)
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return
            if cursor == query.get("cursor"):
                raise UnexpectedAnswerError(f"the list repeats the page {json.dumps(cursor)}", 200)
            query["cursor"] = cursor

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for row in page["data"]:
                yield row
