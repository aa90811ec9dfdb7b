"""What holds for all workspaces: prices, plans, settings, the server.

Written by `sdk/generate.py` from `_async/platform.py`; do not edit.
"""

from __future__ import annotations

from typing_extensions import Unpack

from .._call import Call, CallOptions, path
from ..types import (
    Clock,
    Health,
    PageQuery,
    Plans,
    PlansRequest,
    PriceBook,
    PriceBookRequest,
    PriceSimulation,
    PriceSimulationRequest,
    Settings,
    SettingsRequest,
)
from .sender import Pages, Sender


class PriceBooks:
    """The price book: operations and their prices."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, **options: Unpack[CallOptions]) -> PriceBook:
        """Returns the version in force."""
        call = Call[PriceBook]("GET", "/v1/price-book")
        return self._sender.send(call, options)

    def set(self, request: PriceBookRequest, **options: Unpack[CallOptions]) -> PriceBook:
        """Publishes a version."""
        call = Call[PriceBook]("PUT", "/v1/price-book", body=request)
        return self._sender.send(call, options)

    def versions(self, query: PageQuery | None = None, **options: Unpack[CallOptions]) -> Pages[PriceBook]:
        """Lists all versions, newest first."""
        return Pages(self._sender, "/v1/price-book/versions", query, options)

    def simulate(self, request: PriceSimulationRequest, **options: Unpack[CallOptions]) -> PriceSimulation:
        """Prices past charges by a draft."""
        call = Call[PriceSimulation]("POST", "/v1/price-book/simulate", body=request)
        return self._sender.send(call, options)


class PlanCatalogue:
    """The plans that workspaces can subscribe to."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, **options: Unpack[CallOptions]) -> Plans:
        """Returns the plans."""
        call = Call[Plans]("GET", "/v1/plans")
        return self._sender.send(call, options)

    def set(self, request: PlansRequest, **options: Unpack[CallOptions]) -> Plans:
        """Publishes a version of the plans."""
        call = Call[Plans]("PUT", "/v1/plans", body=request)
        return self._sender.send(call, options)


class PlatformSettings:
    """Settings, the clock and the state of the server."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, **options: Unpack[CallOptions]) -> Settings:
        """Returns the settings of the ledger."""
        call = Call[Settings]("GET", "/v1/settings")
        return self._sender.send(call, options)

    def set(self, request: SettingsRequest, **options: Unpack[CallOptions]) -> Settings:
        """Changes the settings of the ledger."""
        call = Call[Settings]("PUT", "/v1/settings", body=request)
        return self._sender.send(call, options)

    def confirm_clock(self, **options: Unpack[CallOptions]) -> Clock:
        """Confirms the clock, so that held timers go on."""
        call = Call[Clock]("POST", "/v1/clock/confirm")
        return self._sender.send(call, options)

    def health(self, **options: Unpack[CallOptions]) -> Health:
        """Says that the process runs."""
        call = Call[Health]("GET", "/healthz")
        return self._sender.send(call, options)

    def ready(self, **options: Unpack[CallOptions]) -> Health:
        """Says whether the server serves requests, or raises a 503."""
        call = Call[Health]("GET", "/readyz")
        return self._sender.send(call, options)

    def metrics(self, **options: Unpack[CallOptions]) -> str:
        """Returns the metrics for Prometheus."""
        call = Call[str]("GET", "/metrics", accept="text/plain")
        return self._sender.send(call, options)
