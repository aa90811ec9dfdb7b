"""`run`: what is charged, kept and refunded by what the function does."""

import asyncio
import threading
import time
from datetime import datetime, timedelta

import pytest
from tollkeeper_server import KEY

from tollkeeper import (
    AsyncClient,
    InsufficientCreditsError,
    OperationAlreadyPaidError,
    OutcomeNotReportedError,
    UserError,
)

CHARGE = {"operation": "smart_pricing", "quantity": 10}


def available(client, workspace):
    return client.workspaces.balance(workspace)["available"]


def last_charge(client, workspace):
    newest = client.charges.list(workspace, {"limit": 1}).first()["data"][0]
    return client.charges.get(workspace, newest["id"])


def test_a_success_is_settled(client, workspace):
    def function(running):
        assert client.charges.get(workspace, running.charge["id"])["status"] == "pending"
        return "a price"

    done = client.run(workspace, {**CHARGE, "worker": "w-7"}, function)
    assert (done.result, done.amount) == ("a price", 10_000)
    assert done.balance == {"available": 990_000, "available_usd": "9.90"}
    assert (done.charge["status"], done.charge["outcome"], done.charge["worker"]) == ("settled", "succeeded", "w-7")


def test_a_smaller_quantity_is_settled_and_the_rest_refunded(client, workspace):
    def function(running):
        running.quantity = 4

    done = client.run(workspace, CHARGE, function)
    assert done.amount == 4_000 and done.balance["available"] == available(client, workspace) == 996_000


def test_an_error_of_the_user_is_kept(client, workspace):
    def function(_):
        raise UserError("The picture has no face.")

    with pytest.raises(UserError):
        client.run(workspace, CHARGE, function)
    charge = last_charge(client, workspace)
    assert (charge["status"], charge["outcome"]) == ("settled", "failed_user")
    assert available(client, workspace) == 990_000


def test_an_error_of_the_system_is_refunded_and_its_text_stays_out_of_the_journal(client, workspace):
    def function(_):
        raise ZeroDivisionError("secret")

    with pytest.raises(ZeroDivisionError, match="secret"):
        client.run(workspace, CHARGE, function)
    charge = last_charge(client, workspace)
    assert (charge["status"], charge["outcome"]) == ("refunded", "failed_system")
    assert charge["refunds"][0]["detail"] == "ZeroDivisionError"
    assert available(client, workspace) == 1_000_000


def test_the_function_is_not_called_if_the_charge_is_refused(client, workspace):
    with pytest.raises(InsufficientCreditsError):
        client.run(workspace, {**CHARGE, "quantity": 2_000}, lambda _: pytest.fail("it was called"))


def test_heartbeats_move_a_short_deadline(client, workspace):
    def function(running):
        made, ends = datetime.fromisoformat(running.charge["created_at"][:19]), time.monotonic() + 30
        while time.monotonic() < ends:
            charge = client.charges.get(workspace, running.charge["id"])
            assert charge["status"] == "pending", "its deadline has passed"
            # Beyond the first deadline there is only time that heartbeats have added.
            if datetime.fromisoformat(charge["deadline"][:19]) - made > timedelta(seconds=6):
                return charge["deadline"]
        return pytest.fail("no heartbeat moved the deadline")

    done = client.run(workspace, {**CHARGE, "timeout_seconds": 3}, function)
    assert done.charge["status"] == "settled"


def test_a_charge_that_is_no_longer_pending_is_lost(client, workspace):
    def function(running):
        client.charges.refund(workspace, running.charge["id"], {"reason": "test"})
        ends = time.monotonic() + 30
        while not running.is_lost and time.monotonic() < ends:
            threading.Event().wait(0.02)
        return running.is_lost

    with pytest.raises(OutcomeNotReportedError) as error:
        client.run(workspace, {**CHARGE, "timeout_seconds": 1}, function)
    assert error.value.result is True and error.value.__cause__.code == "charge_already_refunded"


def test_a_key_pays_for_one_run(client, workspace):
    client.run(workspace, CHARGE, lambda _: 1, idempotency_key="job-1")
    with pytest.raises(OperationAlreadyPaidError) as refused:
        client.run(workspace, CHARGE, lambda _: pytest.fail("it was called"), idempotency_key="job-1")
    assert refused.value.status_now == "settled"
    pending = {**CHARGE, "await_outcome": True, "timeout_seconds": 60}
    client.charges.create(workspace, pending, idempotency_key="job-2")
    with pytest.raises(OperationAlreadyPaidError) as refused:
        client.run(workspace, CHARGE, lambda _: pytest.fail("it was called"), idempotency_key="job-2")
    assert refused.value.status_now == "pending" and available(client, workspace) == 980_000


def test_a_charge_whose_answer_was_lost_is_run(client, connect, proxy, workspace):
    proxy.plan = ["cut"]
    assert connect(proxy.url).run(workspace, CHARGE, lambda _: "ran").result == "ran"
    assert available(client, workspace) == 990_000


def test_a_result_is_not_lost_with_the_report_of_success(client, connect, proxy, workspace):
    def function(_):
        proxy.plan = ["cut"]
        return "kept"

    with pytest.raises(OutcomeNotReportedError) as error:
        connect(proxy.url, max_attempts=1).run(workspace, CHARGE, function)
    assert error.value.result == "kept" and error.value.charge["amount"] == 10_000


@pytest.mark.parametrize(("scopes", "status"), [(["charge"], "pending"), (["charge", "settle"], "refunded")])
def test_a_failure_needs_the_scope_settle(client, connect, server, workspace, scopes, status):
    def function(_):
        raise ZeroDivisionError

    secret = client.api_keys.create(workspace, {"name": "worker", "scopes": scopes})["secret"]
    unreported = []
    worker = connect(server.url, secret, on_unreported_outcome=lambda charge, error: unreported.append(error.code))
    with pytest.raises(ZeroDivisionError):
        worker.run(workspace, CHARGE, function)
    assert last_charge(client, workspace)["status"] == status
    assert unreported == (["forbidden"] if status == "pending" else [])


@pytest.mark.parametrize(("kind", "expected"), [(ZeroDivisionError, []), (UserError, ["charge_already_refunded"])])
def test_a_failure_after_a_refund_is_only_reported_if_the_charge_should_be_kept(
    client, connect, server, workspace, kind, expected
):
    def function(running):
        client.charges.refund(workspace, running.charge["id"], {"reason": "test"})
        raise kind

    unreported = []
    noting = connect(server.url, on_unreported_outcome=lambda charge, error: unreported.append(error.code))
    with pytest.raises(kind):
        noting.run(workspace, CHARGE, function)
    assert unreported == expected


def test_a_cancelled_task_is_refunded(server, workspace):
    async def cancel():
        async with AsyncClient(server.url, KEY) as client:
            begun = asyncio.Event()

            async def function(_):
                begun.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(client.run(workspace, CHARGE, function))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await client.workspaces.balance(workspace)

    assert asyncio.run(cancel())["available"] == 1_000_000


def test_a_client_that_is_closed_says_so(server):
    async def call():
        client = AsyncClient(server.url, KEY)
        await client.close()
        await client.platform.health()

    with pytest.raises(Exception, match="the client is closed"):
        asyncio.run(call())
