"""Disturbed connections, and answers that ask for another attempt, with a real server behind."""

import time

import pytest
from support import answer, problem

from tollkeeper import (
    ApiError,
    ConnectionFailedError,
    DeadlineExceededError,
    InsufficientCreditsError,
    PaymentRequiredError,
    UnexpectedAnswerError,
)

CHARGE = {"operation": "virtual_try_on"}


def test_a_charge_over_a_cut_connection_is_charged_once(client, connect, proxy, workspace):
    proxy.plan = ["cut", "half"]
    charge = connect(proxy.url).charges.create(workspace, CHARGE)
    assert charge["replayed"] and charge["status_now"] == "settled"
    assert len(proxy.requests) == 3 and len(set(proxy.keys())) == 1
    assert client.workspaces.balance(workspace)["available"] == 980_000
    assert [one["id"] for one in client.charges.list(workspace)] == [charge["id"]]


def test_each_call_has_a_key_of_its_own_unless_one_is_given(connect, proxy, workspace):
    client = connect(proxy.url)
    charges = [client.charges.create(workspace, CHARGE) for _ in range(2)]
    assert charges[0]["id"] != charges[1]["id"] and len(set(proxy.keys())) == 2
    first = client.charges.create(workspace, CHARGE, idempotency_key="order-17")
    again = client.charges.create(workspace, CHARGE, idempotency_key="order-17")
    assert (first["replayed"], again["replayed"]) == (False, True) and first["id"] == again["id"]


def test_what_must_not_be_done_twice_is_not_sent_again(client, connect, proxy):
    proxy.plan = ["cut"]
    with pytest.raises(ConnectionFailedError) as error:
        connect(proxy.url).workspaces.create({"id": f"cut-{time.monotonic_ns()}", "name": "Cut"})
    assert error.value.was_sent and len(proxy.requests) == 1
    proxy.plan = [problem(503, "store_unavailable", retryable=True)]
    with pytest.raises(ApiError, match="store_unavailable"):
        connect(proxy.url).workspaces.create({"name": "Unavailable"})
    assert len(proxy.requests) == 2


def test_a_402_is_not_sent_again(connect, proxy, workspace):
    with pytest.raises(InsufficientCreditsError) as refused:
        connect(proxy.url).charges.create(workspace, {**CHARGE, "quantity": 51})
    error = refused.value
    assert len(proxy.requests) == 1 and isinstance(error, PaymentRequiredError)
    assert (error.status, error.code, error.retryable) == (402, "insufficient_credits", False)
    assert (error.required, error.available, error.shortfall) == (1_020_000, 1_000_000, 20_000)
    assert error.affordable_quantity == 50 and error.problem["shortfall_usd"] == "0.20"
    assert "Nothing was deducted" in error.detail and "insufficient_credits" in str(error)


def test_a_503_is_waited_for(connect, proxy, workspace):
    proxy.plan = [problem(503, "overloaded", "retry-after: 1", retryable=True)]
    begun = time.monotonic()
    charge = connect(proxy.url).charges.create(workspace, CHARGE)
    assert time.monotonic() - begun >= 1
    assert not charge["replayed"] and len(set(proxy.keys())) == 1 and len(proxy.requests) == 2


def test_the_rate_limit_of_a_server_is_waited_for(connect, start):
    server = start(WORKSPACE_KEY_REQUESTS_PER_SECOND="1")
    platform, statuses = connect(server.url), []
    platform.workspaces.create({"id": "slow", "name": "Slow"})
    secret = platform.api_keys.create("slow", {"name": "reader", "scopes": ["read"]})["secret"]
    client = connect(server.url, secret, seen=lambda response: statuses.append(response.status_code), max_attempts=10)
    while 429 not in statuses:
        assert client.workspaces.balance("slow")["available"] == 0
    assert statuses[-2:] == [429, 200]


def test_attempts_end(connect, proxy, workspace):
    proxy.plan = [problem(503, "store_unavailable", retryable=True)] * 9
    with pytest.raises(ApiError) as refused:
        connect(proxy.url, max_attempts=3).charges.create(workspace, CHARGE)
    assert refused.value.status == 503 and len(proxy.requests) == 3


def test_a_pause_beyond_the_deadline_is_not_made(connect, proxy, workspace):
    proxy.plan = [problem(429, "rate_limited", "retry-after: 3600", retryable=True)]
    begun = time.monotonic()
    with pytest.raises(ApiError) as refused:
        connect(proxy.url).charges.create(workspace, CHARGE)
    assert refused.value.retry_after_seconds == 3600 and time.monotonic() - begun < 30


def test_a_deadline_holds_over_all_attempts(connect, proxy, workspace):
    proxy.plan = ["hang"] * 9
    begun = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        connect(proxy.url).charges.create(
            workspace, CHARGE, attempt_timeout_seconds=0.2, total_timeout_seconds=2, max_attempts=9)
    assert 0.2 <= time.monotonic() - begun < 20 and 2 <= len(proxy.requests) <= 9


def test_an_attempt_that_hangs_is_given_up_for_another(client, connect, proxy, workspace):
    proxy.plan = ["hang"]
    connect(proxy.url, attempt_timeout_seconds=0.5).charges.create(workspace, CHARGE)
    assert client.workspaces.balance(workspace)["available"] == 980_000


def test_a_server_that_is_away_is_a_broken_connection(connect):
    with pytest.raises(ConnectionFailedError) as error:
        connect("http://127.0.0.1:9", max_attempts=2).platform.health()
    assert not error.value.was_sent


def test_a_newer_server_does_not_break_the_client(connect, proxy, workspace):
    client = connect(proxy.url)
    charge = client.charges.create(workspace, CHARGE)
    newer = {**charge, "status": "suspended", "outcome": "forwarded", "score": 0.5, "parts": [{"a": None}]}
    proxy.plan = [answer(200, newer), problem(409, "of_a_newer_server", kind_of="new", depth={"a": 1})]
    read = client.charges.get(workspace, charge["id"])
    assert read["status"] == "suspended" and read["parts"] == [{"a": None}]
    with pytest.raises(ApiError) as refused:
        client.charges.get(workspace, charge["id"])
    assert refused.value.code == "of_a_newer_server" and refused.value.problem["depth"] == {"a": 1}
    proxy.plan = [problem(402, "of_a_newer_server")]
    with pytest.raises(PaymentRequiredError):
        client.charges.create(workspace, CHARGE)


def test_an_answer_of_something_else_says_so(connect, proxy, workspace):
    client = connect(proxy.url, max_attempts=2)
    proxy.plan = [answer(502, "<h1>Bad gateway</h1>", kind="text/html")]
    assert client.workspaces.balance(workspace)["available"] == 1_000_000
    for status, body in [(404, "<h1>Not found</h1>"), (200, "<h1>Welcome</h1>"), (200, [1]), (301, "moved")]:
        proxy.plan, before = [answer(status, body)], len(proxy.requests)
        with pytest.raises(UnexpectedAnswerError) as error:
            client.workspaces.balance(workspace)
        assert error.value.status == status and len(proxy.requests) == before + 1


@pytest.mark.parametrize("amount", [0.5, 1e3, 2**53, float("nan"), object()])
def test_numbers_that_are_not_exact_are_refused(connect, proxy, workspace, amount):
    with pytest.raises((TypeError, ValueError), match="amount"):
        grant = {"source": "promotional", "amount": amount, "reason": "test"}
        connect(proxy.url).grants.create(workspace, grant)
    assert proxy.requests == []


def test_metadata_may_have_any_numbers(client, workspace):
    charge = client.charges.create(workspace, {**CHARGE, "metadata": {"score": 0.5}})
    assert charge["metadata"] == {"score": 0.5}


def test_wrong_options_and_ids_are_refused(client, workspace):
    with pytest.raises(TypeError, match="idempotency_key"):
        client.workspaces.get(workspace, idempotency_key="x")
    with pytest.raises(TypeError, match="timeout"):
        client.charges.create(workspace, CHARGE, timeout=3)
    with pytest.raises(ValueError, match="not empty"):
        client.workspaces.get("")
    with pytest.raises(ApiError, match="Idempotency-Key"):
        client.charges.create(workspace, CHARGE, idempotency_key="")
    with pytest.raises(ApiError) as refused:
        client.charges.get(workspace, "../grants")
    assert refused.value.status in (400, 404)
