"""One call of the API: what is sent, what its answer means, and what a caller may set.

Nothing here does I/O, so the synchronous and the asynchronous client share it. Numbers outside of
`metadata` are integers; others are refused before anything is sent.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, urlencode

import httpx
from typing_extensions import NotRequired, TypedDict

from .errors import UnexpectedAnswerError, api_error
from .types import Charge, Entry, Grant, PaymentRefund, Subscription, TopUp

VERSION = "0.1.0"
# The largest integer that every JSON reader has exactly.
INTEGER_MAX = 2**53 - 1

T = TypeVar("T")


class CallOptions(TypedDict, total=False):
    """What a caller may set for one call; otherwise the client's own settings hold."""

    attempt_timeout_seconds: float
    """The longest that one attempt may take."""
    total_timeout_seconds: float
    """The longest that all attempts with their pauses may take."""
    max_attempts: int
    """How often the call is sent at most."""


class KeyedOptions(CallOptions, total=False):
    """Options of a call that moves credit or money."""

    idempotency_key: str
    """The key of the request. Without it, one is made, which all attempts share."""


class Page(TypedDict, Generic[T]):
    """A page of a list. It may be empty although there is a next one."""

    data: list[T]
    next_cursor: str | None


class EntriesAfter(TypedDict):
    """Entries behind a position, oldest first. `after` is sent with the next request."""

    after: NotRequired[str]
    data: list[Entry]
    next_cursor: str | None


class KeyedCharge(Charge):
    """A charge as it was at the first answer to its key."""

    replayed: bool
    """Whether the key was used before."""
    status_now: str
    """The status that the charge has now."""


class KeyedGrant(Grant):
    """A grant; `replayed` if the key was used before."""

    replayed: bool


class KeyedTopUp(TopUp):
    """A top-up; `replayed` if the key was used before."""

    replayed: bool


class KeyedPaymentRefund(PaymentRefund):
    """A payment refund; `replayed` if the key was used before."""

    replayed: bool


class KeyedSubscription(Subscription):
    """A subscription; `replayed` if the key was used before."""

    replayed: bool


def path(template: str, *ids: str) -> str:
    """The path with ids in its places. An empty id would name another path, so it is refused."""
    if not all(ids):
        raise ValueError(f"{template} needs ids that are not empty")
    return template.format(*(quote(one, safe="") for one in ids))


@dataclass(frozen=True)
class Call(Generic[T]):
    """What is sent. The answer is a `T`."""

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    accept: str = "application/json"
    # Moves credit or money, so it has an idempotency key.
    is_keyed: bool = False
    # Answers with a charge, whose present status is in a header.
    is_about_charge: bool = False
    # Done twice, it has the same effect as once, so it is sent again after a lost answer.
    is_repeatable: bool = True
    # How long the server waits at most before it answers, on top of the timeouts.
    wait_seconds: float = 0.0

    def request(self, client_headers: Mapping[str, str], key: str | None) -> dict[str, Any]:
        """The arguments for httpx."""
        headers = {**client_headers, "accept": self.accept}
        if self.is_keyed:
            headers["idempotency-key"] = str(uuid.uuid4()) if key is None else key
        request: dict[str, Any] = {"method": self.method, "url": self.path, "headers": headers}
        if self.query:
            parameters = {name: _parameter(value) for name, value in self.query.items() if value is not None}
            request["url"] = f"{self.path}?{urlencode(parameters)}"
        if self.body is not None:
            refuse_inexact(self.body)
            headers["content-type"] = "application/json"
            request["content"] = json.dumps(self.body, allow_nan=False).encode()
        return request

    def answer(self, response: httpx.Response) -> T:
        """The answer, or an error."""
        if response.is_success:
            if response.status_code == 204:
                return cast(T, None)
            if self.accept != "application/json":
                return cast(T, response.text)
            return cast(T, self._with_replay(response, _object(response)))
        seconds = retry_after(response.headers)
        problem = _object(response) if "problem+json" in response.headers.get("content-type", "") else None
        if problem is None:
            message = f"{response.status_code} without a problem: {response.text[:200]}"
            raise UnexpectedAnswerError(message, response.status_code, seconds)
        raise api_error(response.status_code, problem, seconds)

    def _with_replay(self, response: httpx.Response, answer: dict[str, Any]) -> dict[str, Any]:
        if self.is_keyed:
            answer["replayed"] = response.headers.get("idempotent-replayed") == "true"
        if self.is_about_charge:
            answer["status_now"] = response.headers.get("tollkeeper-charge-status", answer.get("status"))
        return answer


def refuse_inexact(value: Any, name: str = "the body") -> None:
    """Refuses numbers that are not exact integers. `metadata` is the caller's own."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            if key != "metadata":
                refuse_inexact(member, key)
    elif isinstance(value, (list, tuple)):
        for member in value:
            refuse_inexact(member, name)
    elif isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise ValueError(f"{name} is larger than {INTEGER_MAX}")
    elif value is not None and not isinstance(value, (str, bool, int)):
        raise TypeError(f"{name} needs an integer or a text, not {value!r}")


def retry_after(headers: httpx.Headers) -> float | None:
    """The seconds that the header asks for, which may be a number or a date."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnexpectedAnswerError(f"{response.status_code} without a JSON object", response.status_code)
    return value
