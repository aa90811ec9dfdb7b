"""The official Python SDK drives every endpoint of the stand-in for Stripe.

Usage: stripe_sdk.py STAND_IN OBJECTS
  STAND_IN  the example `stripe_stand_in`, built
  OBJECTS   where one JSON file with an object of each kind and state is written; stripe_types.mjs
            checks them against the official npm types

It fails if an answer cannot be read, a signature is not accepted by the SDK's verifier, a key is
not replayed, or an endpoint was not driven.
"""

import json
import re
import subprocess
import sys

import stripe

GOOD, DECLINED, FUNDS, AUTHENTICATE = "4242424242424242", "4000000000000002", "4000000000009995", "4000002760003184"
DAY = 24 * 3600
SECRET = "whsec_standin"


class StandIn:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hello = self.read()
        self.base, self.now = hello["base_url"], hello["now"]

    def read(self):
        return json.loads(self.process.stdout.readline())

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.read()


objects = []


def keep(kind, value):
    """Remembers the JSON of an answer for the check of its type; the SDK must know its kind."""
    assert type(value).__name__ != "StripeObject", (kind, type(value))
    objects.append({"type": kind, "value": json.loads(value.last_response.body)})
    return value


def refused(error, call):
    try:
        call()
    except error as caught:
        return caught
    raise AssertionError(f"{error.__name__} was expected")


def shared(make_card, api_version_is_old):
    """What localstripe knows too: customers, payments, declines, saved cards, refunds."""
    customer = stripe.Customer.create(email="payer@example.com", metadata={"workspace": "acme"})
    assert stripe.Customer.retrieve(customer.id).metadata["workspace"] == "acme"
    assert stripe.Customer.modify(customer.id, name="Acme").name == "Acme"
    card = stripe.PaymentMethod.attach(make_card(GOOD).id, customer=customer.id)
    assert card.customer == customer.id and card.card.last4 == "4242"
    types = {} if api_version_is_old else {"off_session": True, "error_on_requires_action": True}
    paid = stripe.PaymentIntent.create(
        amount=1000, currency="usd", customer=customer.id, payment_method=card.id, confirm=True, **types
    )
    assert paid.status == "succeeded" and paid.amount == 1000, paid
    assert stripe.PaymentIntent.retrieve(paid.id).status == "succeeded"
    declined = refused(stripe.CardError, lambda: stripe.PaymentMethod.attach(make_card(DECLINED).id, customer=customer.id))
    assert declined.http_status == 402 and declined.code == "card_declined", declined
    saved = stripe.PaymentMethod.attach(make_card("4000000000000341").id, customer=customer.id)
    declined = refused(
        stripe.CardError,
        lambda: stripe.PaymentIntent.create(
            amount=1000, currency="usd", customer=customer.id, payment_method=saved.id, confirm=True, **types
        ),
    )
    assert declined.http_status == 402 and declined.code == "card_declined", declined
    setup = stripe.SetupIntent.create(customer=customer.id)
    setup = stripe.SetupIntent.confirm(setup.id, payment_method=card.id)
    assert setup.status == "succeeded" and setup.payment_method == card.id, setup
    part = stripe.Refund.create(payment_intent=paid.id, amount=400)
    assert part.status == "succeeded" and part.amount == 400
    rest = stripe.Refund.create(payment_intent=paid.id, amount=600)
    assert stripe.Refund.retrieve(rest.id).amount == 600
    assert len(stripe.Refund.list(payment_intent=paid.id).data) == 2
    detached = stripe.PaymentMethod.detach(card.id)
    assert detached.customer is None
    assert refused(stripe.InvalidRequestError, lambda: stripe.Customer.retrieve("cus_none")).http_status == 404
    return customer, paid, declined


def shared_plans(make_card, start, **product_type):
    """What localstripe knows of plans: a subscription, its paid invoice and lines, its end.

    `start(customer, cents)` begins a subscription that is paid by the month; its id is returned.
    """
    product = stripe.Product.create(name="Plan", metadata={"plan": "basic"}, **product_type)
    assert stripe.Product.retrieve(product.id).metadata["plan"] == "basic"
    assert product.id in [found.id for found in stripe.Product.list().data]
    customer = stripe.Customer.create(email="plans@example.com")
    card = stripe.PaymentMethod.attach(make_card(GOOD).id, customer=customer.id)
    stripe.Customer.modify(customer.id, invoice_settings={"default_payment_method": card.id})
    subscription = stripe.Subscription.retrieve(start(customer, 1000))
    item = subscription["items"].data[0]
    assert subscription.status == "active" and subscription.customer == customer.id, subscription
    assert item.plan.amount == 1000 and item.plan.interval == "month" and item.quantity == 1, item
    assert subscription.cancel_at_period_end is False and subscription.cancel_at is None
    listed = stripe.Invoice.list(subscription=subscription.id).data
    assert [invoice.id for invoice in listed] == [subscription.latest_invoice], listed
    invoice = stripe.Invoice.retrieve(subscription.latest_invoice)
    assert (invoice.status, invoice.currency, invoice.subtotal) == ("paid", "usd", 1000), invoice
    assert (invoice.total, invoice.amount_due, invoice.amount_paid) == (1000, 1000, 1000), invoice
    assert invoice.parent.type == "subscription_details" and invoice.attempted is True
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.status_transitions.paid_at and invoice.status_transitions.voided_at is None
    lines = stripe.Invoice.list_lines(invoice.id).data
    assert [line.amount for line in lines] == [1000] and lines[0].id == invoice.lines.data[0].id, lines
    period = lines[0].period
    assert 28 * DAY <= period.end - period.start <= 31 * DAY, period
    for again in (stripe.Invoice.pay, stripe.Invoice.void_invoice):
        assert refused(stripe.InvalidRequestError, lambda: again(invoice.id)).http_status == 400
    preview = stripe.Invoice.create_preview(customer=customer.id, subscription=subscription.id)
    assert preview.id.startswith("upcoming_") and preview.total == 1000, preview
    assert [line.amount for line in preview.lines.data] == [1000]
    assert len(stripe.Invoice.list(customer=customer.id).data) == 1, "a preview is no invoice"
    for ends in (True, False):
        changed = stripe.Subscription.modify(subscription.id, cancel_at_period_end=ends)
        assert changed.cancel_at_period_end is ends and changed.status == "active", changed
    assert [one.id for one in stripe.Subscription.list(customer=customer.id).data] == [subscription.id]
    ended = stripe.Subscription.cancel(subscription.id)
    assert ended.status == "canceled" and ended.ended_at, ended
    assert stripe.Subscription.list(customer=customer.id).data == []
    canceled = stripe.Subscription.list(customer=customer.id, status="canceled").data
    assert [one.id for one in canceled] == [subscription.id]
    assert stripe.Invoice.retrieve(invoice.id).status == "paid", "an end takes nothing back"
    for missing in (lambda: stripe.Subscription.retrieve("sub_none"), lambda: stripe.Invoice.retrieve("in_none")):
        assert refused(stripe.InvalidRequestError, missing).http_status == 404


def customers_and_cards(stand_in):
    make_card = lambda number: stripe.PaymentMethod.create(
        type="card", card={"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    )
    customer, paid, declined = shared(make_card, False)

    def start(payer, cents):
        price = stripe.Price.create(
            currency="usd", unit_amount=cents, product_data={"name": "Plan"}, recurring={"interval": "month"})
        session = stripe.checkout.Session.create(
            mode="subscription", customer=payer.id, success_url="https://app.example/done",
            line_items=[{"price": price.id, "quantity": 1}])
        stand_in("pay_checkout", session.id, GOOD)
        return stripe.checkout.Session.retrieve(session.id).subscription

    shared_plans(make_card, start)
    # localstripe refunds more than was paid.
    refused(stripe.InvalidRequestError, lambda: stripe.Refund.create(payment_intent=paid.id, amount=1))
    assert declined.error.payment_intent["status"] == "requires_payment_method"
    assert declined.error.decline_code == "generic_decline" and declined.error.advice_code == "try_again_later"
    keep("Stripe.Customer", stripe.Customer.retrieve(customer.id))
    keep("Stripe.PaymentIntent", stripe.PaymentIntent.retrieve(paid.id))
    keep("Stripe.PaymentIntent", stripe.PaymentIntent.retrieve(declined.error.payment_intent["id"]))
    expanded = stripe.PaymentIntent.retrieve(paid.id, expand=["latest_charge", "customer", "payment_method"])
    keep("Stripe.PaymentIntent", expanded)
    keep("Stripe.Charge", stripe.Charge.retrieve(expanded.latest_charge.id))
    assert expanded.latest_charge.receipt_url.startswith(stand_in.base)
    card = stripe.PaymentMethod.attach("pm_card_visa", customer=customer.id)
    keep("Stripe.PaymentMethod", stripe.PaymentMethod.retrieve(card.id))
    stripe.Customer.modify(customer.id, invoice_settings={"default_payment_method": card.id}, address={"country": "DE"})
    assert [method.id for method in stripe.PaymentMethod.list(customer=customer.id, type="card").auto_paging_iter()][0] == card.id
    assert stripe.Customer.list_payment_methods(customer.id).data[0].id == card.id
    keep("Stripe.ApiList<Stripe.Customer>", stripe.Customer.list(limit=1))
    intent = stripe.PaymentIntent.create(amount=500, currency="usd", customer=customer.id, metadata={"a": "b"})
    assert intent.status == "requires_payment_method"
    keep("Stripe.PaymentIntent", stripe.PaymentIntent.cancel(intent.id, cancellation_reason="abandoned"))
    stand_in("set_card", card.id, AUTHENTICATE)
    intent = stripe.PaymentIntent.create(amount=500, currency="usd", customer=customer.id)
    waiting = keep("Stripe.PaymentIntent", stripe.PaymentIntent.confirm(intent.id, payment_method=card.id))
    assert waiting.status == "requires_action" and waiting.next_action.redirect_to_url.url
    stand_in("authenticate", intent.id)
    assert stripe.PaymentIntent.retrieve(intent.id).status == "succeeded"
    needs = refused(stripe.CardError, lambda: stripe.PaymentIntent.create(
        amount=500, currency="usd", customer=customer.id, payment_method=card.id, confirm=True, off_session=True,
        error_on_requires_action=True, allowed_payment_method_types=["card"], receipt_email="payer@example.com"))
    assert needs.code == "authentication_required"
    assert {i.customer for i in stripe.PaymentIntent.list(customer=customer.id, created={"gte": 1})} == {customer.id}
    setup = keep("Stripe.SetupIntent", stripe.SetupIntent.create(customer=customer.id, usage="off_session"))
    keep("Stripe.SetupIntent", stripe.SetupIntent.confirm(setup.id, payment_method="pm_card_mastercard"))
    other = stripe.SetupIntent.create(customer=customer.id)
    keep("Stripe.SetupIntent", stripe.SetupIntent.cancel(other.id))
    assert stripe.SetupIntent.retrieve(setup.id).status == "succeeded"
    assert stripe.SetupIntent.list(customer=customer.id).data
    gone = stripe.Customer.delete(stripe.Customer.create(email="gone@example.com").id)
    assert gone.deleted is True
    keep("Stripe.DeletedCustomer", gone)
    return customer


def session_parameters(customer, **more):
    return {
        "mode": "payment", "ui_mode": "hosted_page", "customer": customer.id, "client_reference_id": "t1",
        "success_url": "https://app.example/done", "cancel_url": "https://app.example/back",
        "line_items": [{"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 2000,
            "tax_behavior": "exclusive", "product_data": {"name": "Credit"}}}],
        "payment_intent_data": {"metadata": {"top_up": "t1"}, "setup_future_usage": "off_session"},
        "adaptive_pricing": {"enabled": False}, "allow_promotion_codes": False,
        "automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"},
        "tax_id_collection": {"enabled": True}, "invoice_creation": {"enabled": True}, **more,
    }


def checkout(stand_in, customer):
    Session = stripe.checkout.Session
    stand_in("set_tax", 1900)
    session = keep("Stripe.Checkout.Session", Session.create(**session_parameters(customer)))
    assert session.url.startswith(stand_in.base) and session.status == "open"
    assert stand_in("pay_checkout", session.id, FUNDS) == {"declined": "card_declined"}
    assert stand_in("pay_checkout", session.id, GOOD) == {"declined": None}
    paid = keep("Stripe.Checkout.Session", Session.retrieve(session.id, expand=["line_items", "payment_intent.latest_charge"]))
    assert (paid.amount_total, paid.total_details.amount_tax) == (2380, 380)
    assert paid.payment_intent.latest_charge.payment_method_details.card.last4 == "4242"
    assert Session.list_line_items(session.id).data[0].amount_total == 2380
    keep("Stripe.Invoice", stripe.Invoice.retrieve(paid.invoice))
    delayed = Session.create(**session_parameters(customer))
    intent = stand_in("pay_checkout_delayed", delayed.id)
    keep("Stripe.PaymentIntent", stripe.PaymentIntent.retrieve(intent))
    keep("Stripe.PaymentMethod", stripe.PaymentMethod.retrieve(stripe.PaymentIntent.retrieve(intent).payment_method))
    stand_in("settle_delayed", intent, "true")
    assert Session.retrieve(delayed.id).payment_status == "paid"
    setup = Session.create(mode="setup", customer=customer.id, success_url="https://app.example/done",
                           allowed_payment_method_types=["card"])
    stand_in("pay_checkout", setup.id, GOOD)
    keep("Stripe.Checkout.Session", Session.retrieve(setup.id, expand=["setup_intent"]))
    expired = Session.expire(Session.create(**session_parameters(customer, expires_at=stand_in.now + 1800)).id)
    assert keep("Stripe.Checkout.Session", expired).status == "expired"
    keep("Stripe.ApiList<Stripe.Checkout.Session>", Session.list(customer=customer.id, limit=2))
    return paid.payment_intent.id


def plans(stand_in, customer):
    product = keep("Stripe.Product", stripe.Product.create(name="Plan", metadata={"plan": "pro"}))
    assert stripe.Product.retrieve(product.id).name == "Plan" and stripe.Product.list().data
    price = lambda cents: stripe.Price.create(
        currency="usd", unit_amount=cents, product=product.id, recurring={"interval": "month"}, tax_behavior="exclusive")
    small, large = keep("Stripe.Price", price(1000)), price(3000)
    assert stripe.Price.retrieve(small.id).unit_amount == 1000 and len(stripe.Price.list(product=product.id).data) == 2
    session = stripe.checkout.Session.create(
        mode="subscription", customer=customer.id, success_url="https://app.example/done",
        line_items=[{"price": small.id, "quantity": 1}], automatic_tax={"enabled": True},
        subscription_data={"metadata": {"subscription": "s1"}, "billing_mode": {"type": "flexible"}})
    stand_in("pay_checkout", session.id, GOOD)
    done = keep("Stripe.Checkout.Session", stripe.checkout.Session.retrieve(session.id, expand=["subscription", "invoice"]))
    subscription = keep("Stripe.Subscription", stripe.Subscription.retrieve(done.subscription.id))
    item = subscription["items"].data[0]
    assert item.price.id == small.id and item.current_period_end > item.current_period_start
    stand_in("advance", 14 * DAY)
    change = dict(items=[{"id": item.id, "price": large.id}], proration_behavior="always_invoice")
    preview = stripe.Invoice.create_preview(subscription=subscription.id, subscription_details=change)
    keep("Stripe.Invoice", preview)
    assert [line.amount for line in preview.lines.data] == [-500, 1500] and preview.total == 1190
    good = subscription.default_payment_method
    stand_in("set_card", good, FUNDS)
    waits = stripe.Subscription.modify(subscription.id, payment_behavior="pending_if_incomplete", **change)
    assert keep("Stripe.Subscription", waits).pending_update.expires_at and waits["items"].data[0].price.id == small.id
    unpaid = keep("Stripe.Invoice", stripe.Invoice.retrieve(waits.latest_invoice, expand=["payments"]))
    assert refused(stripe.CardError, lambda: stripe.Invoice.pay(unpaid.id)).code == "card_declined"
    stand_in("set_card", good, GOOD)
    assert stripe.Invoice.pay(unpaid.id).status == "paid"
    assert stripe.Subscription.retrieve(subscription.id)["items"].data[0].price.id == large.id
    paid = keep("Stripe.Invoice", stripe.Invoice.retrieve(unpaid.id, expand=["payments"]))
    line = paid.lines.data[0]
    assert line.parent.subscription_item_details.proration and line.pricing.price_details.price
    payment = paid.payments.data[0]
    assert stripe.PaymentIntent.retrieve(payment.payment.payment_intent).amount_received == paid.amount_paid
    keep("Stripe.InvoicePayment", stripe.InvoicePayment.retrieve(payment.id))
    assert stripe.InvoicePayment.list(invoice=paid.id).data[0].id == payment.id
    keep("Stripe.ApiList<Stripe.InvoiceLineItem>", stripe.Invoice.list_lines(paid.id, limit=1))
    down = stripe.Subscription.modify(subscription.id, items=[{"id": item.id, "price": small.id}], proration_behavior="none")
    assert down.latest_invoice == paid.id and down["items"].data[0].price.id == small.id
    later(stand_in, subscription, good)
    assert {i.id for i in stripe.Invoice.list(subscription=subscription.id, limit=2).auto_paging_iter()} >= {paid.id, unpaid.id}
    keep("Stripe.ApiList<Stripe.Subscription>", stripe.Subscription.list(customer=customer.id, status="all"))


def later(stand_in, subscription, card):
    """A missed renewal, then the three ends of an invoice, then the end of the subscription."""
    stand_in("set_card", card, FUNDS)
    stand_in("advance", 15 * DAY)
    late = keep("Stripe.Subscription", stripe.Subscription.retrieve(subscription.id))
    assert late.status == "past_due"
    open_invoice = keep("Stripe.Invoice", stripe.Invoice.retrieve(late.latest_invoice))
    assert open_invoice.status == "open" and open_invoice.billing_reason == "subscription_cycle"
    keep("Stripe.Invoice", stripe.Invoice.mark_uncollectible(open_invoice.id))
    assert keep("Stripe.Invoice", stripe.Invoice.void_invoice(open_invoice.id)).status == "void"
    ends = stripe.Subscription.modify(subscription.id, cancel_at_period_end=True)
    assert keep("Stripe.Subscription", ends).cancel_at
    assert stripe.Subscription.modify(subscription.id, cancel_at_period_end=False).cancel_at is None
    assert keep("Stripe.Subscription", stripe.Subscription.cancel(subscription.id)).status == "canceled"


def money_back(stand_in, intent):
    stand_in("pending_refunds")
    refund = keep("Stripe.Refund", stripe.Refund.create(payment_intent=intent, amount=100, metadata={"r": "1"}))
    assert refund.status == "pending"
    stand_in("finish_refund", refund.id, "failed")
    assert keep("Stripe.Refund", stripe.Refund.retrieve(refund.id)).status == "failed"
    stand_in("refunds_need_action")
    refund = stripe.Refund.create(payment_intent=intent, amount=100, reason="requested_by_customer")
    assert keep("Stripe.Refund", stripe.Refund.cancel(refund.id)).status == "canceled"
    assert len(stripe.Refund.list(payment_intent=intent).data) == 2
    dispute = stand_in("open_dispute", intent, 500, "warning_needs_response")
    assert keep("Stripe.Dispute", stripe.Dispute.retrieve(dispute)).is_charge_refundable
    stand_in("set_dispute_status", dispute, "needs_response")
    stand_in("set_dispute_status", dispute, "lost")
    listed = keep("Stripe.ApiList<Stripe.Dispute>", stripe.Dispute.list(payment_intent=intent))
    assert listed.data[0].status == "lost"
    warning = stand_in("warn_of_fraud", intent)
    keep("Stripe.Radar.EarlyFraudWarning", stripe.radar.EarlyFraudWarning.retrieve(warning))
    assert stripe.radar.EarlyFraudWarning.list(payment_intent=intent).data[0].id == warning


def portal(stand_in, customer):
    Configuration = stripe.billing_portal.Configuration
    features = {"invoice_history": {"enabled": True}, "payment_method_update": {"enabled": True},
                "customer_update": {"enabled": True, "allowed_updates": ["address"]},
                "subscription_cancel": {"enabled": False}, "subscription_update": {"enabled": False}}
    made = keep("Stripe.BillingPortal.Configuration", Configuration.create(features=features))
    assert not made.features.subscription_cancel.enabled and made.features.invoice_history.enabled
    assert Configuration.modify(made.id, metadata={"a": "b"}).metadata["a"] == "b"
    assert Configuration.retrieve(made.id).id == made.id and Configuration.list(active=True).data[0].id == made.id
    session = stripe.billing_portal.Session.create(customer=customer.id, configuration=made.id, return_url="https://app.example/")
    assert keep("Stripe.BillingPortal.Session", session).url.startswith(stand_in.base)


def keys_and_faults(stand_in):
    create = lambda email, key: stripe.Customer.create(email=email, idempotency_key=key)
    first = create("a@example.com", "k1")
    assert create("a@example.com", "k1").id == first.id
    assert refused(stripe.IdempotencyError, lambda: create("b@example.com", "k1")).http_status == 400
    stand_in("fail_next", "POST", "/v1/customers", "saved_error")
    for _ in range(2):
        assert refused(stripe.APIError, lambda: create("c@example.com", "k2")).http_status == 500
    stand_in("advance", DAY)
    assert create("c@example.com", "k2").email == "c@example.com"
    stand_in("fail_next", "POST", "/v1/customers", "rate_limited")
    assert refused(stripe.RateLimitError, lambda: create("d@example.com", "k3")).http_status == 429
    stripe.max_network_retries = 2
    stand_in("fail_next", "POST", "/v1/customers", "cut_after")
    before = len(stand_in("objects", "customer"))
    create("e@example.com", "k4")
    assert len(stand_in("objects", "customer")) == before + 1, "the SDK's own retry was a replay"
    stripe.max_network_retries = 0
    stripe.api_key, key = "sk_test_other", stripe.api_key
    refused(stripe.AuthenticationError, lambda: stripe.Customer.retrieve(first.id))
    stripe.api_key = key


def events(stand_in):
    sent = stand_in("events")
    for webhook in sent:
        header = dict(webhook["headers"])["stripe-signature"]
        # The stand-in's clock is not the machine's, so the age is not checked here.
        event = stripe.Webhook.construct_event(webhook["body"], header, SECRET, tolerance=10**12)
        assert event.type == webhook["kind"]
    altered = sent[0]["body"].replace("evt_", "evt-", 1)
    header = dict(sent[0]["headers"])["stripe-signature"]
    refused(stripe.SignatureVerificationError,
            lambda: stripe.Webhook.construct_event(altered, header, SECRET, tolerance=10**12))
    page = stripe.Event.list(types=["invoice.paid", "charge.dispute.created"], limit=3)
    assert page.data and all(event.type in ("invoice.paid", "charge.dispute.created") for event in page.data)
    assert stripe.Event.retrieve(page.data[0].id).id == page.data[0].id
    latest = {}
    for webhook in sent:
        latest[webhook["kind"]] = json.loads(webhook["body"])
    for value in latest.values():
        objects.append({"type": "Stripe.Event", "value": value})
    return sorted(latest)


def undriven(stand_in):
    """The endpoints that no request has reached with 200."""
    reached = {(request["method"], request["path"]) for request in stand_in("requests") if request["status"] == 200}
    fixed = {endpoint for endpoint in stand_in("endpoints") if "{}" not in endpoint}
    left = []
    for endpoint in stand_in("endpoints"):
        method, path = endpoint.split(" ")
        pattern = re.compile(re.escape(path).replace(r"\{\}", "[^/]+") + "$")
        hits = [p for m, p in reached if m == method and pattern.match(p) and (endpoint in fixed or f"{m} {p}" not in fixed)]
        if not hits:
            left.append(endpoint)
    return left


def main(path, kept):
    stand_in = StandIn(path)
    stripe.api_base, stripe.api_key, stripe.max_network_retries = stand_in.base, "rk_test_standin", 0
    stripe.api_version = "2026-10-28.endive"
    customer = customers_and_cards(stand_in)
    intent = checkout(stand_in, customer)
    plans(stand_in, customer)
    money_back(stand_in, intent)
    portal(stand_in, customer)
    keys_and_faults(stand_in)
    kinds = events(stand_in)
    left = undriven(stand_in)
    assert not left, f"not driven: {left}"
    with open(kept, "w") as out:
        json.dump(objects, out)
    count = len(stand_in("endpoints"))
    print(f"stripe {stripe.VERSION if hasattr(stripe, 'VERSION') else ''}: {count} endpoints driven, "
          f"{len(objects)} objects kept, {len(kinds)} types of events verified")


if __name__ == "__main__":
    main(*sys.argv[1:])
