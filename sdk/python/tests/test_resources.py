"""Every call of the API once, against a server of its own, and against its OpenAPI document."""

import json
import re
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from tollkeeper import ApiError

METHODS = ("get", "put", "post", "patch", "delete")
# A month before everything.
MONTH = {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}


def refused(code, call, *arguments):
    with pytest.raises(ApiError) as error:
        call(*arguments)
    assert error.value.code == code


def use_workspaces(c):
    assert c.workspaces.create({"id": "acme", "name": "Acme", "timezone": "Europe/Berlin"})["id"] == "acme"
    found = c.workspaces.list({"name": "ac", "suspended": False, "debt": False, "unused_since": "2100-01-01T00:00:00Z"})
    assert [one["id"] for one in found] == ["acme"]
    assert c.workspaces.update("acme", {"metadata": {"plan": "gold"}})["metadata"] == {"plan": "gold"}
    assert c.workspaces.get("acme")["timezone"] == "Europe/Berlin"
    for name, role in [("ada", "admin"), ("bob", "member")]:
        c.members.create("acme", {"id": name, "email": f"{name}@example.com", "name": name, "role": role})
    assert c.members.update("acme", "bob", {"name": "Bob"})["name"] == c.members.get("acme", "bob")["name"] == "Bob"
    assert [one["id"] for one in c.members.list("acme", {"limit": 1})] == ["bob", "ada"]
    assert c.portal_sessions.create("acme", {"member": "bob"})["member"] == "bob"
    assert c.portal_sessions.delete("acme", {"member": "bob"}) is None
    c.members.delete("acme", "bob")
    assert c.members.delete_personal_data("acme", "bob") is None
    key = c.api_keys.create("acme", {"name": "storefront", "scopes": ["charge", "read"]})
    assert key["secret"] and [one["id"] for one in c.api_keys.list("acme")] == [key["id"]]
    c.api_keys.delete("acme", key["id"])
    refused("api_key_not_found", c.api_keys.delete, "acme", key["id"])


def use_charges(c):
    grant = c.grants.create("acme", {"source": "promotional", "amount": 100_000, "reason": "welcome"})
    assert grant["remaining"] == 100_000 and grant["id"] in [one["id"] for one in c.grants.list("acme")]
    assert c.grants.void("acme", grant["id"])["voided_at"] and c.workspaces.balance("acme")["available"] == 0
    c.grants.create("acme", {"source": "adjustment", "amount_usd": "5.00", "reason": "welcome"})
    assert c.charges.quote("acme", {"operation": "smart_pricing", "quantity": 3})["amount"] == 3_000
    pending = c.charges.create("acme", {"operation": "virtual_try_on", "timeout_seconds": 600, "worker": "w-7"})
    assert c.charges.heartbeat("acme", pending["id"], {"extend_seconds": 900})["deadline"] > pending["deadline"]
    assert c.charges.report_outcome("acme", pending["id"], {"result": "succeeded"})["status"] == "settled"
    refund = c.charges.refund("acme", pending["id"], {"amount": 5_000, "reason": "blurred"})
    assert refund["refunded_amount"] == 5_000 and refund["status_now"] == "settled"
    assert c.charges.get("acme", pending["id"])["refunds"][0]["amount"] == 5_000
    item = {"workspace": "acme", "operation": "support_message"}
    results = c.charges.batch({"charges": [
        {**item, "idempotency_key": "b-1"}, {**item, "idempotency_key": "b-2", "operation": "unknown"}]})["results"]
    assert results[0]["charge"]["amount"] == 500 and results[1]["problem"]["code"] == "operation_not_found"
    query = {"operation": "virtual_try_on", "worker": "w-7", "status": "settled", "from": "2020-01-01T00:00:00Z",
             "to": "2100-01-01T00:00:00Z"}
    assert [one["id"] for one in c.charges.list("acme", query)] == [pending["id"]]
    assert list(c.charges.list("acme", {"member": "bob", "reference": "x"})) == []
    assert c.workspaces.balance("acme", {"at": pending["created_at"]})["pending"] == 20_000


def use_payments(c):
    top_up = c.top_ups.create("acme", {"amount_usd": "25.00"})
    assert c.top_ups.confirm("acme", top_up["id"])["status"] == c.top_ups.get("acme", top_up["id"])["status"]
    assert c.top_ups.refund("acme", top_up["id"], {"amount_usd": "5.00", "reason": "asked"})["credits"] == 500_000
    assert len(list(c.top_ups.list("acme"))) == 1 and list(c.top_ups.unmatched()) == []
    buy = {"threshold": 1_000, "amount_usd": "10.00", "monthly_cap_usd": "100.00"}
    refused("payment_method_required", c.auto_top_up.set, "acme", buy)
    refused("auto_top_up_not_found", c.auto_top_up.get, "acme")
    refused("not_found", c.auto_top_up.save_card, "acme", {})
    refused("payment_method_not_found", c.auto_top_up.card, "acme")
    refused("not_found", c.auto_top_up.billing_portal, "acme", {})
    assert c.auto_top_up.delete("acme") is None and c.auto_top_up.delete_card("acme") is None
    assert c.subscription.set("acme", {"plan": "starter"})["status"] == "pending"
    assert c.subscription.preview("acme", {"plan": "growth"})["due_now_usd"] == "99.00"
    assert c.subscription.confirm("acme")["status"] == c.subscription.get("acme")["status"] == "active"
    assert c.subscription.cancel("acme")["cancels_at"]


def use_settings(c):
    limits = {"limits": [{"subject": "worker", "id": "w-7", "period": "day", "amount": 20_000}]}
    assert c.limits.set("acme", limits)["limits"] == c.limits.get("acme")["limits"]
    refused("limit_exceeded", c.charges.create, "acme", {"operation": "virtual_try_on", "worker": "w-7"})
    wanted = {"thresholds": [{"amount": 5_000}, {"runway_days": 7}], "emails": ["ops@example.com"]}
    alerts = c.alerts.set("acme", wanted)
    muted = c.alerts.mute("acme", alerts["emails"][0]["id"], {"muted": ["balance.low"]})
    assert muted["emails"] == c.alerts.get("acme")["emails"] and muted["emails"][0]["muted"] == ["balance.low"]
    assert c.alerts.mail_deliveries()["down"] is False
    bounce = {"email": "ops@example.com", "type": "bounce", "workspace": "acme"}
    assert c.alerts.mail_events({"events": [bounce]})["matched"] == 1
    refused("mail_not_set_up", c.alerts.test, "acme")


def use_reports(c):
    assert c.usage.get("acme", {"group_by": "operation", "timezone": "UTC", "raw": True})["total"]["runs"] == 2
    filters = {"operation": "x", "worker": "x", "member": "x", "api_key": ""}
    assert c.usage.get("acme", {**MONTH, **filters})["total"]["runs"] == 0
    assert c.usage.get_csv("acme", {"group_by": "operation"}).startswith("operation,runs,")
    changes = c.usage.changes("acme", {"group_by": "operation", "timezone": "UTC", "raw": False})
    assert len(changes["rows"]) == 2
    before = {"before_from": "2019-12-01", **MONTH, **filters}
    assert "by_price" in c.usage.changes_csv("acme", before)
    assert c.usage.burn_rate("acme", {"window_days": 7, "group_by": "operation"})["rows"] is not None
    assert c.report.get({"month": "2020-01"})["is_final"] is True
    assert c.report.get_csv({"month": "2020-01"}).startswith("month,section,")
    entries = list(c.journal.entries("acme", {"limit": 5}))
    assert [one["number"] for one in entries] == list(range(len(entries), 0, -1))
    behind = c.journal.entries_after("acme", {"after": "0", "kinds": "charge.settled", "limit": 1, "wait": 1})
    assert [one["kind"] for one in behind["data"]] == ["charge.settled"] and behind["next_cursor"] is None
    stream = c.journal.stream("acme", {"after": "0", "kinds": "charge.opened"})
    assert next(iter(stream)).event == "balance"
    stream.close()
    assert c.journal.head()["entries"] >= len(entries)


def use_webhook_endpoints(c):
    made = c.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "kinds": ["grant.created"]})
    one = made["id"]
    assert c.webhook_endpoints.update(one, {"enabled": False})["enabled"] is False
    assert c.webhook_endpoints.update(one, {"enabled": True, "from": "now"})["enabled"] is True
    assert c.webhook_endpoints.rotate_secret(one)["secret"] != made["secret"]
    assert c.webhook_endpoints.ping(one)["accepted"] is False
    assert c.webhook_endpoints.deliveries(one)["down"] is False
    refused("delivery_not_found", c.webhook_endpoints.resend, one, "msg_0")
    assert [x["id"] for x in c.webhook_endpoints.list()] == [c.webhook_endpoints.get(one)["id"]]
    assert c.webhook_endpoints.delete(one) is None


def use_platform(c):
    book = c.price_book.get()
    draft = [{"id": "virtual_try_on", "unit_price": 30_000}, {"id": "support_message", "unit_price": 500}]
    today = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    days = {"from": (today - timedelta(days=1)).isoformat(), "to": (today + timedelta(days=1)).isoformat()}
    assert c.price_book.simulate({"operations": draft, **days})["used_workspaces"] == 1
    planned = c.price_book.set({"operations": draft, "effective_at": "2100-01-01T00:00:00Z"})
    versions = [one["version"] for one in c.price_book.versions({"limit": 1})]
    assert versions == [planned["version"], book["version"]]
    plan = {"id": "solo", "name": "Solo", "price_usd": "9.00", "credits": 900_000, "interval": "month"}
    assert c.plans.set({"plans": [plan]})["plans"] == c.plans.get()["plans"]
    assert c.platform.set({"refund_window_days": 60}) == c.platform.get() == {"refund_window_days": 60}
    assert c.platform.confirm_clock()["was_held"] is False
    assert c.platform.health()["status"] == c.platform.ready()["status"] == "ok"
    assert "tollkeeper_http_requests_total" in c.platform.metrics()


USES = (use_workspaces, use_charges, use_payments, use_settings, use_reports, use_webhook_endpoints, use_platform)


def test_every_call_of_the_document_is_made(connect, start):
    server, seen = start(WEBHOOKS_ALLOW_HTTP="true", WEBHOOKS_ALLOW_PRIVATE="true", WEBHOOKS_PORTS="9"), []
    client = connect(server.url, seen=lambda response: seen.append(response.request))
    for use in USES:
        use(client)
    with urllib.request.urlopen(f"{server.url}/openapi.json") as document:
        paths = json.load(document)["paths"]
    wanted = set()
    for path, calls in paths.items():
        for method in METHODS:
            for parameter in calls.get(method, {"parameters": None}).get("parameters") or []:
                if parameter["in"] == "query":
                    wanted.add((method, path, parameter["name"]))
            if method in calls:
                wanted.add((method, path, ""))
    made = set()
    for request in seen:
        path = next(one for one in sorted(paths, key=lambda one: one.count("{"))
                    if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), request.url.path))
        made |= {(request.method.lower(), path, name) for name in ["", *request.url.params]}
    unused = {one for one in wanted - made if one[2] not in ("cursor", "limit")}
    assert unused == set() and made <= wanted
