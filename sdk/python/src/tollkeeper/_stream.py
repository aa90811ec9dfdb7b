"""Server-sent events of the stream of a workspace, line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


# A comment comes every 15 seconds, so a longer silence is a broken connection.
SILENCE_SECONDS = 45.0


@dataclass(frozen=True)
class StreamEvent:
    """What happened. `id` is the position to continue behind: pass it as `after`."""

    id: str
    event: str
    data: Any


class StreamParser:
    """Puts lines together to events. Comments and unknown fields are skipped."""

    def __init__(self) -> None:
        self._id = ""
        self._event = ""
        self._data: list[str] = []

    def line(self, line: str) -> StreamEvent | None:
        """Takes one line, and returns the event that it completes."""
        if not line:
            event = StreamEvent(self._id, self._event, json.loads("\n".join(self._data))) if self._data else None
            self._event, self._data = "", []
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        return None
