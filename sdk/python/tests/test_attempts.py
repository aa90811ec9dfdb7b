"""When the next attempt follows, by a clock and a chance of the test."""

import pytest

from tollkeeper import ApiError, ConnectionFailedError, DeadlineExceededError, UnexpectedAnswerError
from tollkeeper._attempts import Attempts, Bounds


def attempts(is_repeatable=True, chance=0.5, **bounds):
    clock = [0.0]
    settings = {"attempt_timeout_seconds": 5, "total_timeout_seconds": 60, "max_attempts": 20, **bounds}
    one = Attempts(Bounds(**settings), is_repeatable, now=lambda: clock[0], chance=lambda: chance)
    return one, clock


def refused(status, code="x", retryable=True, retry_after=None):
    return ApiError(status, {"code": code, "retryable": retryable}, retry_after)


LOST = ConnectionFailedError("cut", was_sent=True)
NEVER_SENT = ConnectionFailedError("refused", was_sent=False)


@pytest.mark.parametrize(
    ("error", "repeatable", "once"),
    [
        (LOST, True, False),
        (NEVER_SENT, True, True),
        (DeadlineExceededError("late"), True, False),
        (refused(429, "rate_limited"), True, True),
        (refused(503, "overloaded"), True, True),
        (refused(503, "store_unavailable"), True, False),
        (refused(500, "internal_error"), True, False),
        (refused(503, "of_a_newer_server"), True, False),
        (refused(422, "invalid_field", retryable=False), False, False),
        (refused(402, "insufficient_credits", retryable=False), False, False),
        (refused(402, "of_a_newer_server", retryable=True), False, False),
        (UnexpectedAnswerError("bad gateway", 502), True, False),
        (UnexpectedAnswerError("too many", 429, 1.0), True, False),
        (UnexpectedAnswerError("too many", 429), False, False),
        (UnexpectedAnswerError("not found", 404), False, False),
    ],
)
def test_what_is_sent_again(error, repeatable, once):
    for is_repeatable, expected in [(True, repeatable), (False, once)]:
        one, _ = attempts(is_repeatable)
        one.begin()
        if expected:
            assert one.pause_after(error) > 0
        else:
            with pytest.raises(type(error)):
                one.pause_after(error)


def test_pauses_double_up_to_a_bound_and_are_jittered():
    def pauses(chance):
        one, _ = attempts(chance=chance, total_timeout_seconds=1e6)
        found = []
        for _ in range(8):
            one.begin()
            found.append(one.pause_after(LOST))
        return found

    assert pauses(1.0) == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8, 8])
    assert pauses(0.0) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4, 4])


def test_the_server_says_the_least_pause():
    one, _ = attempts()
    one.begin()
    assert 7 <= one.pause_after(refused(503, "overloaded", retry_after=7.0)) < 8


def test_a_pause_beyond_the_deadline_raises_at_once():
    one, _ = attempts(total_timeout_seconds=6)
    one.begin()
    with pytest.raises(ApiError):
        one.pause_after(refused(429, "rate_limited", retry_after=6.0))


def test_attempts_are_bounded_by_count_and_time():
    one, clock = attempts(max_attempts=2, total_timeout_seconds=6)
    assert one.begin() == 5
    one.pause_after(LOST)
    clock[0] = 4.0
    assert one.begin() == pytest.approx(2)
    with pytest.raises(ConnectionFailedError):
        one.pause_after(LOST)
    clock[0] = 6.0
    with pytest.raises(DeadlineExceededError):
        one.begin()


def test_a_lost_answer_is_remembered():
    one, _ = attempts()
    one.begin()
    one.pause_after(NEVER_SENT)
    one.pause_after(refused(429, "rate_limited"))
    assert not one.answer_was_lost
    one.pause_after(LOST)
    assert one.answer_was_lost


@pytest.mark.parametrize("wrong", [{"max_attempts": 0}, {"total_timeout_seconds": 0}, {"attempt_timeout_seconds": -1}])
def test_bounds_are_checked(wrong):
    with pytest.raises(ValueError, match="timeouts must be above zero"):
        attempts(**wrong)
