"""The attempts of one call: how long each may take, and whether and when the next one follows.

A call is sent again if its problem is `retryable`, if the connection broke, or if a proxy answers
that it has lost the server. A call that would have another effect the second time is only sent
again if the first attempt certainly did nothing. A 402 is never sent again. Clock and chance are
arguments, so that tests need neither.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from ._call import CallOptions
from .errors import (
    ApiError,
    ConnectionFailedError,
    DeadlineExceededError,
    TollkeeperError,
    UnexpectedAnswerError,
)

# Pauses without a `Retry-After` double from the first to the longest.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 8.0
# With these codes the server has done nothing.
NOTHING_DONE = frozenset(["rate_limited", "too_many_followers", "overloaded", "request_timeout"])
# With these statuses a proxy says that it has lost the server.
FROM_PROXY = frozenset([502, 503, 504])


@dataclass(frozen=True)
class Bounds:
    """How long a call may take, and how often it is sent."""

    attempt_timeout_seconds: float
    total_timeout_seconds: float
    max_attempts: int

    def __post_init__(self) -> None:
        if self.attempt_timeout_seconds <= 0 or self.total_timeout_seconds <= 0 or self.max_attempts < 1:
            raise ValueError("timeouts must be above zero, and there must be an attempt")

    def with_options(self, options: CallOptions, wait_seconds: float) -> Bounds:
        return Bounds(
            options.get("attempt_timeout_seconds", self.attempt_timeout_seconds) + wait_seconds,
            options.get("total_timeout_seconds", self.total_timeout_seconds) + wait_seconds,
            options.get("max_attempts", self.max_attempts),
        )


class Attempts:
    """The attempts of one call. `answer_was_lost` if an earlier one may have been carried out."""

    def __init__(
        self,
        bounds: Bounds,
        is_repeatable: bool,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.bounds, self.is_repeatable, self.now, self.chance = bounds, is_repeatable, now, chance
        self.begun = 0
        self.answer_was_lost = False
        self.ends = now() + bounds.total_timeout_seconds

    def begin(self) -> float:
        """Begins an attempt and returns the seconds that it may take."""
        self.begun += 1
        left = self.ends - self.now()
        if left <= 0:
            raise DeadlineExceededError(f"no answer in {self.bounds.total_timeout_seconds} seconds")
        return min(self.bounds.attempt_timeout_seconds, left)

    def pause_after(self, error: TollkeeperError) -> float:
        """The seconds until the next attempt. Raises the error if there is none."""
        if not is_certainly_undone(error):
            self.answer_was_lost = True
        if self.begun >= self.bounds.max_attempts or not self._may_repeat(error):
            raise error
        pause = self._pause(getattr(error, "retry_after_seconds", None))
        if self.now() + pause >= self.ends:
            raise error
        return pause

    def _may_repeat(self, error: TollkeeperError) -> bool:
        if isinstance(error, ApiError):
            may = error.retryable and error.status != 402
        elif isinstance(error, UnexpectedAnswerError):
            may = error.status in FROM_PROXY or (error.status == 429 and error.retry_after_seconds is not None)
        else:
            may = isinstance(error, (ConnectionFailedError, DeadlineExceededError))
        return may and (self.is_repeatable or is_certainly_undone(error))

    def _pause(self, retry_after_seconds: float | None) -> float:
        """A half to the whole of the doubled pause, on top of what the server asks for."""
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self.begun - 1, 10))
        jittered = pause * (1 + self.chance()) / 2
        return jittered if retry_after_seconds is None else retry_after_seconds + jittered / 4


def is_certainly_undone(error: TollkeeperError) -> bool:
    """Whether the server has not carried out the attempt."""
    if isinstance(error, ApiError):
        return error.code in NOTHING_DONE or error.status < 500
    return isinstance(error, ConnectionFailedError) and not error.was_sent
