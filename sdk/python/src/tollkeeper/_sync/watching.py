"""What was used and what happened: usage, journal, reports, webhook endpoints.

Written by `sdk/generate.py` from `_async/watching.py`; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import Unpack

from .._call import Call, CallOptions, EntriesAfter, path
from .._stream import SILENCE_SECONDS, StreamEvent
from ..types import (
    BurnRate,
    BurnRateQuery,
    Deliveries,
    DeliveryAttempt,
    DeliveryException,
    EntriesQuery,
    Entry,
    JournalHead,
    PageQuery,
    Report,
    ReportQuery,
    StreamQuery,
    Usage,
    UsageChanges,
    UsageChangesQuery,
    UsageQuery,
    WebhookEndpoint,
    WebhookEndpointChanges,
    WebhookEndpointRequest,
)
from .sender import Pages, Sender


class Usages:
    """What was used, by what and whom."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, workspace: str, query: UsageQuery | None = None, **options: Unpack[CallOptions]) -> Usage:
        """Adds up the use of a range."""
        call = Call[Usage]("GET", path("/v1/workspaces/{}/usage", workspace), query)
        return self._sender.send(call, options)

    def get_csv(self, workspace: str, query: UsageQuery | None = None, **options: Unpack[CallOptions]) -> str:
        """The rows of `get` as comma-separated values."""
        call = Call[str]("GET", path("/v1/workspaces/{}/usage", workspace), query, accept="text/csv")
        return self._sender.send(call, options)

    def changes(
        self, workspace: str, query: UsageChangesQuery | None = None, **options: Unpack[CallOptions]
    ) -> UsageChanges:
        """Compares the use of two ranges."""
        call = Call[UsageChanges]("GET", path("/v1/workspaces/{}/usage/changes", workspace), query)
        return self._sender.send(call, options)

    def changes_csv(
        self, workspace: str, query: UsageChangesQuery | None = None, **options: Unpack[CallOptions]
    ) -> str:
        """The rows of `changes` as comma-separated values."""
        call = Call[str]("GET", path("/v1/workspaces/{}/usage/changes", workspace), query, accept="text/csv")
        return self._sender.send(call, options)

    def burn_rate(
        self, workspace: str, query: BurnRateQuery | None = None, **options: Unpack[CallOptions]
    ) -> BurnRate:
        """Says how fast credit is used and how long it lasts."""
        call = Call[BurnRate]("GET", path("/v1/workspaces/{}/burn-rate", workspace), query)
        return self._sender.send(call, options)


class Journal:
    """The journal, which is the audit log."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def entries(
        self, workspace: str, query: PageQuery | None = None, **options: Unpack[CallOptions]
    ) -> Pages[Entry]:
        """Lists entries, newest first."""
        return Pages(self._sender, path("/v1/workspaces/{}/entries", workspace), query, options)

    def entries_after(
        self, workspace: str, query: EntriesQuery | None = None, **options: Unpack[CallOptions]
    ) -> EntriesAfter:
        """Returns entries behind the position `after`, oldest first. `wait` waits for the next."""
        wait_seconds = (query or {}).get("wait", 0)
        call = Call[EntriesAfter](
            "GET", path("/v1/workspaces/{}/entries", workspace), query, wait_seconds=wait_seconds
        )
        return self._sender.send(call, options)

    def stream(
        self, workspace: str, query: StreamQuery | None = None, *, silence_seconds: float = SILENCE_SECONDS
    ) -> Iterator[StreamEvent]:
        """Gives events as they happen. Ends with the connection; continue behind the last `id`."""
        return self._sender.stream(path("/v1/workspaces/{}/stream", workspace), dict(query or {}), silence_seconds)

    def head(self, **options: Unpack[CallOptions]) -> JournalHead:
        """Returns the last place and its hash."""
        call = Call[JournalHead]("GET", "/v1/journal/head")
        return self._sender.send(call, options)


class Reports:
    """The month for finance."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, query: ReportQuery | None = None, **options: Unpack[CallOptions]) -> Report:
        """Returns what was bought, used and is owed in a month."""
        call = Call[Report]("GET", "/v1/report", query)
        return self._sender.send(call, options)

    def get_csv(self, query: ReportQuery | None = None, **options: Unpack[CallOptions]) -> str:
        """The numbers of `get` as comma-separated values."""
        call = Call[str]("GET", "/v1/report", query, accept="text/csv")
        return self._sender.send(call, options)


class WebhookEndpoints:
    """Endpoints that get messages about what happens."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def create(self, request: WebhookEndpointRequest, **options: Unpack[CallOptions]) -> WebhookEndpoint:
        """Adds an endpoint. Only this answer and `rotate_secret` have its `secret`."""
        call = Call[WebhookEndpoint]("POST", "/v1/webhook-endpoints", body=request, is_repeatable=False)
        return self._sender.send(call, options)

    def list(self, query: PageQuery | None = None, **options: Unpack[CallOptions]) -> Pages[WebhookEndpoint]:
        """Lists the endpoints."""
        return Pages(self._sender, "/v1/webhook-endpoints", query, options)

    def get(self, endpoint: str, **options: Unpack[CallOptions]) -> WebhookEndpoint:
        """Returns an endpoint."""
        call = Call[WebhookEndpoint]("GET", path("/v1/webhook-endpoints/{}", endpoint))
        return self._sender.send(call, options)

    def update(
        self, endpoint: str, request: WebhookEndpointChanges, **options: Unpack[CallOptions]
    ) -> WebhookEndpoint:
        """Changes the fields that are given."""
        call = Call[WebhookEndpoint]("PATCH", path("/v1/webhook-endpoints/{}", endpoint), body=request)
        return self._sender.send(call, options)

    def delete(self, endpoint: str, **options: Unpack[CallOptions]) -> None:
        """Removes an endpoint."""
        call = Call[None]("DELETE", path("/v1/webhook-endpoints/{}", endpoint))
        self._sender.send(call, options)

    def rotate_secret(self, endpoint: str, **options: Unpack[CallOptions]) -> WebhookEndpoint:
        """Makes a new secret. For 24 hours both sign."""
        call = Call[WebhookEndpoint](
            "POST", path("/v1/webhook-endpoints/{}/rotate-secret", endpoint), is_repeatable=False
        )
        return self._sender.send(call, options)

    def ping(self, endpoint: str, **options: Unpack[CallOptions]) -> DeliveryAttempt:
        """Sends a message and says what came back."""
        call = Call[DeliveryAttempt]("POST", path("/v1/webhook-endpoints/{}/ping", endpoint), is_repeatable=False)
        return self._sender.send(call, options)

    def deliveries(self, endpoint: str, **options: Unpack[CallOptions]) -> Deliveries:
        """Returns what failed and the newest attempts."""
        call = Call[Deliveries]("GET", path("/v1/webhook-endpoints/{}/deliveries", endpoint))
        return self._sender.send(call, options)

    def resend(self, endpoint: str, delivery: str, **options: Unpack[CallOptions]) -> DeliveryException:
        """Sends a message again, at once."""
        call = Call[DeliveryException](
            "POST", path("/v1/webhook-endpoints/{}/deliveries/{}/resend", endpoint, delivery), is_repeatable=False
        )
        return self._sender.send(call, options)
