"""The asynchronous client: its settings, its resources, and `run`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
from typing_extensions import Unpack

from .. import _running as running_module
from .._attempts import Bounds
from .._call import KeyedCharge, KeyedOptions
from .._pulse import AsyncPulse
from .._running import Running, RunResult, UnreportedOutcome
from ..errors import OutcomeNotReportedError, TollkeeperError
from ..types import ChargeRequest
from .credit import AsyncAutoTopUps, AsyncCharges, AsyncGrants, AsyncSubscriptions, AsyncTopUps
from .platform import AsyncPlanCatalogue, AsyncPlatformSettings, AsyncPriceBooks
from .sender import AsyncSender
from .watching import AsyncJournal, AsyncReports, AsyncUsages, AsyncWebhookEndpoints
from .workspaces import (
    AsyncAlertSettings,
    AsyncApiKeys,
    AsyncLimitSettings,
    AsyncMembers,
    AsyncPortalSessions,
    AsyncWorkspaces,
)

R = TypeVar("R")


class AsyncClient:
    """A client of one server with one key. Close it at the end, or use it in a `with`."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        attempt_timeout_seconds: float = 30.0,
        total_timeout_seconds: float = 60.0,
        max_attempts: int = 4,
        http_client: httpx.AsyncClient | None = None,
        on_unreported_outcome: UnreportedOutcome = running_module.log_unreported,
    ) -> None:
        bounds = Bounds(attempt_timeout_seconds, total_timeout_seconds, max_attempts)
        sender = AsyncSender(base_url, key, bounds, http_client)
        self._sender = sender
        self._on_unreported_outcome = on_unreported_outcome
        self.workspaces = AsyncWorkspaces(sender)
        self.members = AsyncMembers(sender)
        self.api_keys = AsyncApiKeys(sender)
        self.portal_sessions = AsyncPortalSessions(sender)
        self.charges = AsyncCharges(sender)
        self.grants = AsyncGrants(sender)
        self.top_ups = AsyncTopUps(sender)
        self.auto_top_up = AsyncAutoTopUps(sender)
        self.subscription = AsyncSubscriptions(sender)
        self.usage = AsyncUsages(sender)
        self.limits = AsyncLimitSettings(sender)
        self.alerts = AsyncAlertSettings(sender)
        self.journal = AsyncJournal(sender)
        self.report = AsyncReports(sender)
        self.webhook_endpoints = AsyncWebhookEndpoints(sender)
        self.price_book = AsyncPriceBooks(sender)
        self.plans = AsyncPlanCatalogue(sender)
        self.platform = AsyncPlatformSettings(sender)

    async def close(self) -> None:
        """Closes the connections, unless they are those of an `http_client` of the caller."""
        await self._sender.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(
        self,
        workspace: str,
        request: ChargeRequest,
        function: Callable[[Running], Awaitable[R]],
        **options: Unpack[KeyedOptions],
    ) -> RunResult[R]:
        """Charges, calls the function, and reports its outcome.

        The function is not called if the charge is refused. A `UserError` keeps the charge; any
        other error refunds it, for which the key needs the scope `settle`. Errors of the function
        are raised again. While it runs, heartbeats move the deadline of the charge, which is
        `timeout_seconds` of the request or 60 seconds.
        """
        opening = running_module.opening(workspace, request)
        charge, attempts = await self._sender.send_counted(opening, options)
        running_module.refuse_replay(charge, attempts)
        running = Running(charge)
        seconds = running_module.deadline_seconds(request)
        try:
            async with AsyncPulse(lambda: self._beat(workspace, running, seconds), seconds / 3):
                result = await function(running)
        except BaseException as error:
            await self._report_failure(workspace, charge, error)
            raise
        try:
            outcome = running_module.succeeded(running)
            settled = await self.charges.report_outcome(workspace, charge["id"], outcome)
        except TollkeeperError as error:
            raise OutcomeNotReportedError(charge, result) from error
        return running_module.finished(result, settled)

    async def _beat(self, workspace: str, running: Running, seconds: int) -> bool:
        """Moves the deadline. Returns false once there is none."""
        try:
            await self.charges.heartbeat(
                workspace, running.charge["id"], {"extend_seconds": seconds}, total_timeout_seconds=seconds / 3
            )
        except TollkeeperError as error:
            running.is_lost = running_module.is_over(error)
        return not running.is_lost

    async def _report_failure(self, workspace: str, charge: KeyedCharge, error: BaseException) -> Any:
        """Reports the failure. If that fails, the charge is refunded at its deadline."""
        try:
            await self.charges.report_outcome(workspace, charge["id"], running_module.failed(error))
        except TollkeeperError as unreported:
            if not running_module.is_refunded_anyway(error, unreported):
                self._on_unreported_outcome(charge, unreported)
