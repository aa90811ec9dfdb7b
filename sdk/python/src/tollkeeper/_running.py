"""What `run` gives to its function and returns, and the decisions on its way that need no I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ._attempts import Attempts
from ._call import Call, KeyedCharge, path
from .errors import ApiError, OperationAlreadyPaidError, TollkeeperError, UserError
from .types import Available, Charge, ChargeRequest, OutcomeRequest

R = TypeVar("R")

# The deadline of a charge without heartbeats, unless the request says another.
DEADLINE_SECONDS = 60
# A text of the API has at most this many characters.
DETAIL_CHARACTERS_MAX = 255

UnreportedOutcome = Callable[[Charge, TollkeeperError], None]


class Running:
    """The run of an operation, for the function that carries it out."""

    def __init__(self, charge: Charge) -> None:
        self.charge = charge
        self.quantity: int | None = None
        """Set it if fewer units were run than charged: the difference is refunded."""
        self.quantities: dict[str, int] | None = None
        """The same for an operation with meters: the units that were used of each."""
        self.is_lost = False
        """True once the charge is no longer pending, so the run will not be paid."""


@dataclass(frozen=True)
class RunResult(Generic[R]):
    """What the function returned, and what it cost."""

    result: R
    charge: Charge
    amount: int
    """What was kept, in micro-units."""
    balance: Available | None
    """The balance after the charge was settled."""


def log_unreported(charge: Charge, error: TollkeeperError) -> None:
    """Logs a failure that could not be reported, unless the client is given something else."""
    text = "the failed run of %s was not reported (%s); its deadline refunds it"
    logging.getLogger("tollkeeper").warning(text, charge["id"], error)


def deadline_seconds(request: ChargeRequest) -> int:
    return request.get("timeout_seconds") or DEADLINE_SECONDS


def opening(workspace: str, request: ChargeRequest) -> Call[KeyedCharge]:
    """The charge, pending until its outcome or its deadline."""
    body = {**request, "await_outcome": True, "timeout_seconds": deadline_seconds(request)}
    return Call("POST", path("/v1/workspaces/{}/charges", workspace), body=body, is_keyed=True, is_about_charge=True)


def refuse_replay(charge: KeyedCharge, attempts: Attempts) -> None:
    """Refuses a charge of an earlier call. One that a lost attempt of this call made is its own."""
    if charge["status_now"] != "pending" or (charge["replayed"] and not attempts.answer_was_lost):
        raise OperationAlreadyPaidError(charge, charge["status_now"])


def failed(error: BaseException) -> OutcomeRequest:
    """The outcome for an error of the function. A text of the system stays out of the journal."""
    if isinstance(error, UserError):
        return {"result": "failed", "fault": "user", "detail": str(error)[:DETAIL_CHARACTERS_MAX] or None}
    return {"result": "failed", "fault": "system", "detail": type(error).__name__[:DETAIL_CHARACTERS_MAX]}


def is_refunded_anyway(error: BaseException, unreported: TollkeeperError) -> bool:
    """Whether a failure of the system was refused only because the deadline came first."""
    is_refunded = isinstance(unreported, ApiError) and unreported.code == "charge_already_refunded"
    return is_refunded and not isinstance(error, UserError)


def succeeded(running: Running) -> OutcomeRequest:
    if running.quantities is not None:
        return {"result": "succeeded", "quantities": running.quantities}
    if running.quantity is not None:
        return {"result": "succeeded", "quantity": running.quantity}
    return {"result": "succeeded"}


def finished(result: R, charge: Charge) -> RunResult[R]:
    return RunResult(result, charge, charge["amount"] - charge["refunded_amount"], charge.get("balance"))


def is_over(error: TollkeeperError) -> bool:
    """Whether a refused heartbeat says that the charge is no longer pending."""
    return isinstance(error, ApiError) and error.code in ("charge_already_refunded", "charge_already_settled")
