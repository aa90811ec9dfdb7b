"""Errors that the client raises.

An `ApiError` is an answer of the server that refuses a call. Programs compare its `code`, which is
stable, or catch a subclass. A code or a member that this version does not know is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .types import Charge, ProblemCode


class TollkeeperError(Exception):
    """The base of all errors of this package, except `UserError`."""


class ApiError(TollkeeperError):
    """The server refused the call. `problem` has all members of the answer."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code: ProblemCode | str = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.retryable = problem.get("retryable") is True
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{status} {self.code}: {self.detail}")


class PaymentRequiredError(ApiError):
    """402: the charge was refused, nothing was deducted, and the operation must not run."""


class InsufficientCreditsError(PaymentRequiredError):
    """The available credit does not cover the charge."""

    @property
    def required(self) -> int | None:
        """The price of the charge, in micro-units."""
        return _integer(self.problem, "required")

    @property
    def available(self) -> int | None:
        """The credit of the workspace, in micro-units."""
        return _integer(self.problem, "available")

    @property
    def shortfall(self) -> int | None:
        """What is missing, in micro-units."""
        return _integer(self.problem, "shortfall")

    @property
    def affordable_quantity(self) -> int | None:
        """The largest quantity that the credit covers."""
        return _integer(self.problem, "affordable_quantity")

    @property
    def affordable_quantities(self) -> dict[str, int] | None:
        """The same of each meter, if the others stay as they were asked for."""
        quantities = self.problem.get("affordable_quantities")
        return quantities if isinstance(quantities, dict) else None

    @property
    def add_credits_url(self) -> str | None:
        """The page where an admin adds credits."""
        return _text(self.problem, "add_credits_url")


class LimitExceededError(PaymentRequiredError):
    """The charge would exceed a spending limit."""

    @property
    def remaining(self) -> int | None:
        """What the limit still permits, in micro-units."""
        return _integer(self.problem, "remaining")

    @property
    def resets_at(self) -> str | None:
        """When the next period of the limit begins."""
        return _text(self.problem, "resets_at")


class DebtOutstandingError(PaymentRequiredError):
    """The workspace owes credit after a lost payment."""

    @property
    def debt(self) -> int | None:
        """What is owed, in micro-units."""
        return _integer(self.problem, "debt")


class ConnectionFailedError(TollkeeperError):
    """The connection broke. If `was_sent`, the server may have done what was asked."""

    def __init__(self, message: str, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class DeadlineExceededError(TollkeeperError):
    """No answer came in time. The server may have done what was asked."""


class UnexpectedAnswerError(TollkeeperError):
    """The answer is not one of Tollkeeper; a proxy may have sent it."""

    def __init__(self, message: str, status: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class OperationAlreadyPaidError(TollkeeperError):
    """`run` was given a key that was used before, so the function was not called."""

    def __init__(self, charge: Charge, status_now: str) -> None:
        super().__init__(f"the key has paid for {charge['id']} before, which is {status_now}")
        self.code = "operation_already_paid"
        self.charge = charge
        self.status_now = status_now


class OutcomeNotReportedError(TollkeeperError):
    """The function of `run` succeeded, and that was not reported. `result` is what it returned."""

    def __init__(self, charge: Charge, result: Any) -> None:
        super().__init__(f"the success of {charge['id']} could not be reported, so it may be refunded")
        self.charge = charge
        self.result = result


class WebhookVerificationError(TollkeeperError):
    """The message is not signed with the secret, or is too old."""


class UserError(Exception):
    """Raised in the function of `run` if the operation failed by the user: the charge is kept.

    The message is stored in the journal for ever, so it is not for personal data.
    """


BY_CODE: dict[str, type[ApiError]] = {
    "insufficient_credits": InsufficientCreditsError,
    "limit_exceeded": LimitExceededError,
    "debt_outstanding": DebtOutstandingError,
}


def api_error(status: int, problem: Mapping[str, Any], retry_after_seconds: float | None) -> ApiError:
    """The error for an answer, by its code and then by its status."""
    others = PaymentRequiredError if status == 402 else ApiError
    return BY_CODE.get(str(problem.get("code")), others)(status, problem, retry_after_seconds)


def _integer(problem: Mapping[str, Any], name: str) -> int | None:
    value = problem.get(name)
    return value if isinstance(value, int) else None


def _text(problem: Mapping[str, Any], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) else None
