"""The synchronous client: its settings, its resources, and `run`.

Written by `sdk/generate.py` from `_async/client.py`; do not edit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
from typing_extensions import Unpack

from .. import _running as running_module
from .._attempts import Bounds
from .._call import KeyedCharge, KeyedOptions
from .._pulse import Pulse
from .._running import Running, RunResult, UnreportedOutcome
from ..errors import OutcomeNotReportedError, TollkeeperError
from ..types import ChargeRequest
from .credit import AutoTopUps, Charges, Grants, Subscriptions, TopUps
from .platform import PlanCatalogue, PlatformSettings, PriceBooks
from .sender import Sender
from .watching import Journal, Reports, Usages, WebhookEndpoints
from .workspaces import (
    AlertSettings,
    ApiKeys,
    LimitSettings,
    Members,
    PortalSessions,
    Workspaces,
)

R = TypeVar("R")


class Client:
    """A client of one server with one key. Close it at the end, or use it in a `with`."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        attempt_timeout_seconds: float = 30.0,
        total_timeout_seconds: float = 60.0,
        max_attempts: int = 4,
        http_client: httpx.Client | None = None,
        on_unreported_outcome: UnreportedOutcome = running_module.log_unreported,
    ) -> None:
        bounds = Bounds(attempt_timeout_seconds, total_timeout_seconds, max_attempts)
        sender = Sender(base_url, key, bounds, http_client)
        self._sender = sender
        self._on_unreported_outcome = on_unreported_outcome
        self.workspaces = Workspaces(sender)
        self.members = Members(sender)
        self.api_keys = ApiKeys(sender)
        self.portal_sessions = PortalSessions(sender)
        self.charges = Charges(sender)
        self.grants = Grants(sender)
        self.top_ups = TopUps(sender)
        self.auto_top_up = AutoTopUps(sender)
        self.subscription = Subscriptions(sender)
        self.usage = Usages(sender)
        self.limits = LimitSettings(sender)
        self.alerts = AlertSettings(sender)
        self.journal = Journal(sender)
        self.report = Reports(sender)
        self.webhook_endpoints = WebhookEndpoints(sender)
        self.price_book = PriceBooks(sender)
        self.plans = PlanCatalogue(sender)
        self.platform = PlatformSettings(sender)

    def close(self) -> None:
        """Closes the connections, unless they are those of an `http_client` of the caller."""
        self._sender.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        workspace: str,
        request: ChargeRequest,
        function: Callable[[Running], R],
        **options: Unpack[KeyedOptions],
    ) -> RunResult[R]:
        """Charges, calls the function, and reports its outcome.

        The function is not called if the charge is refused. A `UserError` keeps the charge; any
        other error refunds it, for which the key needs the scope `settle`. Errors of the function
        are raised again. While it runs, heartbeats move the deadline of the charge, which is
        `timeout_seconds` of the request or 60 seconds.
        """
        opening = running_module.opening(workspace, request)
        charge, attempts = self._sender.send_counted(opening, options)
        running_module.refuse_replay(charge, attempts)
        running = Running(charge)
        seconds = running_module.deadline_seconds(request)
        try:
            with Pulse(lambda: self._beat(workspace, running, seconds), seconds / 3):
                result = function(running)
        except BaseException as error:
            self._report_failure(workspace, charge, error)
            raise
        try:
            outcome = running_module.succeeded(running)
            settled = self.charges.report_outcome(workspace, charge["id"], outcome)
        except TollkeeperError as error:
            raise OutcomeNotReportedError(charge, result) from error
        return running_module.finished(result, settled)

    def _beat(self, workspace: str, running: Running, seconds: int) -> bool:
        """Moves the deadline. Returns false once there is none."""
        try:
            self.charges.heartbeat(
                workspace, running.charge["id"], {"extend_seconds": seconds}, total_timeout_seconds=seconds / 3
            )
        except TollkeeperError as error:
            running.is_lost = running_module.is_over(error)
        return not running.is_lost

    def _report_failure(self, workspace: str, charge: KeyedCharge, error: BaseException) -> Any:
        """Reports the failure. If that fails, the charge is refunded at its deadline."""
        try:
            self.charges.report_outcome(workspace, charge["id"], running_module.failed(error))
        except TollkeeperError as unreported:
            if not running_module.is_refunded_anyway(error, unreported):
                self._on_unreported_outcome(charge, unreported)
