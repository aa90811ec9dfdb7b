"""Repeats something beside other work: in a thread, or in a task.

`beat` returns whether to go on, and raises nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable


class Pulse:
    """Calls `beat` every `seconds` in a thread, from `with` to its end."""

    def __init__(self, beat: Callable[[], bool], seconds: float) -> None:
        self._beat, self._seconds = beat, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="tollkeeper-heartbeats", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _repeat(self) -> None:
        while not self._ended.wait(self._seconds) and self._beat():
            pass


class AsyncPulse:
    """Calls `beat` every `seconds` in a task, from `async with` to its end."""

    def __init__(self, beat: Callable[[], Awaitable[bool]], seconds: float) -> None:
        self._beat, self._seconds = beat, seconds
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._repeat())

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            if not await self._beat():
                return
