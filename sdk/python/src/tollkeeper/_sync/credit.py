"""Credit that goes out and comes in: charges, grants, top-ups, subscriptions.

Written by `sdk/generate.py` from `_async/credit.py`; do not edit.
"""

from __future__ import annotations

from typing_extensions import Unpack

from .._call import (
    Call,
    CallOptions,
    KeyedCharge,
    KeyedGrant,
    KeyedOptions,
    KeyedPaymentRefund,
    KeyedSubscription,
    KeyedTopUp,
    path,
)
from ..types import (
    AutoTopUp,
    AutoTopUpRequest,
    Batch,
    BatchRequest,
    Charge,
    ChargeRequest,
    ChargesQuery,
    Grant,
    GrantRequest,
    HeartbeatRequest,
    OutcomeRequest,
    PageQuery,
    PaymentMethod,
    PaymentPage,
    PaymentPageRequest,
    PaymentRefundRequest,
    Quote,
    QuoteRequest,
    RefundRequest,
    Subscription,
    SubscriptionConfirmRequest,
    SubscriptionPreview,
    SubscriptionRequest,
    TopUp,
    TopUpRequest,
    UnmatchedPayment,
    VoidRequest,
)
from .sender import Pages, Sender


class Charges:
    """Charges: the deductions for runs of operations."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def create(self, workspace: str, request: ChargeRequest, **options: Unpack[KeyedOptions]) -> KeyedCharge:
        """Deducts the price before the operation runs, or raises a `PaymentRequiredError`."""
        call = Call[KeyedCharge](
            "POST", path("/v1/workspaces/{}/charges", workspace), body=request, is_keyed=True, is_about_charge=True
        )
        return self._sender.send(call, options)

    def list(
        self, workspace: str, query: ChargesQuery | None = None, **options: Unpack[CallOptions]
    ) -> Pages[Charge]:
        """Lists charges, newest first."""
        return Pages(self._sender, path("/v1/workspaces/{}/charges", workspace), query, options)

    def get(self, workspace: str, charge: str, **options: Unpack[CallOptions]) -> Charge:
        """Returns a charge with its draws and refunds."""
        call = Call[Charge]("GET", path("/v1/workspaces/{}/charges/{}", workspace, charge))
        return self._sender.send(call, options)

    def batch(self, request: BatchRequest, **options: Unpack[CallOptions]) -> Batch:
        """Makes up to 1,000 charges. Each item has its own key and its own result."""
        call = Call[Batch]("POST", "/v1/charges/batch", body=request)
        return self._sender.send(call, options)

    def report_outcome(
        self, workspace: str, charge: str, request: OutcomeRequest, **options: Unpack[CallOptions]
    ) -> Charge:
        """Reports what became of the operation."""
        call = Call[Charge]("POST", path("/v1/workspaces/{}/charges/{}/outcome", workspace, charge), body=request)
        return self._sender.send(call, options)

    def heartbeat(
        self, workspace: str, charge: str, request: HeartbeatRequest, **options: Unpack[CallOptions]
    ) -> Charge:
        """Moves the deadline of a pending charge."""
        call = Call[Charge]("POST", path("/v1/workspaces/{}/charges/{}/heartbeat", workspace, charge), body=request)
        return self._sender.send(call, options)

    def refund(
        self, workspace: str, charge: str, request: RefundRequest, **options: Unpack[KeyedOptions]
    ) -> KeyedCharge:
        """Gives back a charge, wholly or partly."""
        call = Call[KeyedCharge](
            "POST",
            path("/v1/workspaces/{}/charges/{}/refund", workspace, charge),
            body=request,
            is_keyed=True,
            is_about_charge=True,
        )
        return self._sender.send(call, options)

    def quote(self, workspace: str, request: QuoteRequest, **options: Unpack[CallOptions]) -> Quote:
        """Says what a charge would cost, and moves nothing."""
        call = Call[Quote]("POST", path("/v1/workspaces/{}/quote", workspace), body=request)
        return self._sender.send(call, options)


class Grants:
    """Grants: the lots of credit that came in."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def create(self, workspace: str, request: GrantRequest, **options: Unpack[KeyedOptions]) -> KeyedGrant:
        """Grants credit."""
        call = Call[KeyedGrant]("POST", path("/v1/workspaces/{}/grants", workspace), body=request, is_keyed=True)
        return self._sender.send(call, options)

    def list(self, workspace: str, query: PageQuery | None = None, **options: Unpack[CallOptions]) -> Pages[Grant]:
        """Lists grants, newest first."""
        return Pages(self._sender, path("/v1/workspaces/{}/grants", workspace), query, options)

    def void(
        self, workspace: str, grant: str, request: VoidRequest | None = None, **options: Unpack[KeyedOptions]
    ) -> KeyedGrant:
        """Takes back what is unspent."""
        call = Call[KeyedGrant](
            "POST", path("/v1/workspaces/{}/grants/{}/void", workspace, grant), body=request or {}, is_keyed=True
        )
        return self._sender.send(call, options)


class TopUps:
    """Top-ups: credit that is bought."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def create(self, workspace: str, request: TopUpRequest, **options: Unpack[KeyedOptions]) -> KeyedTopUp:
        """Begins a top-up. Credit comes after the money."""
        call = Call[KeyedTopUp]("POST", path("/v1/workspaces/{}/top-ups", workspace), body=request, is_keyed=True)
        return self._sender.send(call, options)

    def list(self, workspace: str, query: PageQuery | None = None, **options: Unpack[CallOptions]) -> Pages[TopUp]:
        """Lists top-ups, newest first."""
        return Pages(self._sender, path("/v1/workspaces/{}/top-ups", workspace), query, options)

    def get(self, workspace: str, top_up: str, **options: Unpack[CallOptions]) -> TopUp:
        """Returns a top-up."""
        call = Call[TopUp]("GET", path("/v1/workspaces/{}/top-ups/{}", workspace, top_up))
        return self._sender.send(call, options)

    def confirm(self, workspace: str, top_up: str, **options: Unpack[CallOptions]) -> TopUp:
        """Confirms a payment by hand. Twice changes nothing."""
        call = Call[TopUp]("POST", path("/v1/workspaces/{}/top-ups/{}/confirm", workspace, top_up))
        return self._sender.send(call, options)

    def refund(
        self, workspace: str, top_up: str, request: PaymentRefundRequest, **options: Unpack[KeyedOptions]
    ) -> KeyedPaymentRefund:
        """Gives money back for unspent credit."""
        call = Call[KeyedPaymentRefund](
            "POST", path("/v1/workspaces/{}/top-ups/{}/refund", workspace, top_up), body=request, is_keyed=True
        )
        return self._sender.send(call, options)

    def unmatched(self, query: PageQuery | None = None, **options: Unpack[CallOptions]) -> Pages[UnmatchedPayment]:
        """Lists payments that fit nothing."""
        return Pages(self._sender, "/v1/payments/unmatched", query, options)


class AutoTopUps:
    """Automatic top-ups, the saved card, and the payment provider's page."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, workspace: str, **options: Unpack[CallOptions]) -> AutoTopUp:
        """Returns when credit is bought."""
        call = Call[AutoTopUp]("GET", path("/v1/workspaces/{}/auto-top-up", workspace))
        return self._sender.send(call, options)

    def set(self, workspace: str, request: AutoTopUpRequest, **options: Unpack[CallOptions]) -> AutoTopUp:
        """Sets when credit is bought."""
        call = Call[AutoTopUp]("PUT", path("/v1/workspaces/{}/auto-top-up", workspace), body=request)
        return self._sender.send(call, options)

    def delete(self, workspace: str, **options: Unpack[CallOptions]) -> None:
        """Stops automatic top-ups."""
        call = Call[None]("DELETE", path("/v1/workspaces/{}/auto-top-up", workspace))
        self._sender.send(call, options)

    def save_card(
        self, workspace: str, request: PaymentPageRequest, **options: Unpack[CallOptions]
    ) -> PaymentPage:
        """Makes a link to save a card."""
        call = Call[PaymentPage](
            "POST", path("/v1/workspaces/{}/payment-method", workspace), body=request, is_repeatable=False
        )
        return self._sender.send(call, options)

    def card(self, workspace: str, **options: Unpack[CallOptions]) -> PaymentMethod:
        """Returns the saved card."""
        call = Call[PaymentMethod]("GET", path("/v1/workspaces/{}/payment-method", workspace))
        return self._sender.send(call, options)

    def delete_card(self, workspace: str, **options: Unpack[CallOptions]) -> None:
        """Deletes the card and stops automatic top-ups."""
        call = Call[None]("DELETE", path("/v1/workspaces/{}/payment-method", workspace))
        self._sender.send(call, options)

    def billing_portal(
        self, workspace: str, request: PaymentPageRequest, **options: Unpack[CallOptions]
    ) -> PaymentPage:
        """Makes a link to the payment provider's page."""
        call = Call[PaymentPage](
            "POST", path("/v1/workspaces/{}/billing-portal", workspace), body=request, is_repeatable=False
        )
        return self._sender.send(call, options)


class Subscriptions:
    """The subscription of a workspace to a plan."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def get(self, workspace: str, **options: Unpack[CallOptions]) -> Subscription:
        """Returns the subscription."""
        call = Call[Subscription]("GET", path("/v1/workspaces/{}/subscription", workspace))
        return self._sender.send(call, options)

    def set(self, workspace: str, request: SubscriptionRequest, **options: Unpack[CallOptions]) -> Subscription:
        """Begins a subscription, or changes its plan."""
        call = Call[Subscription]("PUT", path("/v1/workspaces/{}/subscription", workspace), body=request)
        return self._sender.send(call, options)

    def cancel(self, workspace: str, **options: Unpack[CallOptions]) -> Subscription:
        """Cancels at the end of the period. Credits stay."""
        call = Call[Subscription]("DELETE", path("/v1/workspaces/{}/subscription", workspace))
        return self._sender.send(call, options)

    def confirm(
        self, workspace: str, request: SubscriptionConfirmRequest | None = None, **options: Unpack[KeyedOptions]
    ) -> KeyedSubscription:
        """Confirms a payment by hand."""
        call = Call[KeyedSubscription](
            "POST", path("/v1/workspaces/{}/subscription/confirm", workspace), body=request or {}, is_keyed=True
        )
        return self._sender.send(call, options)

    def preview(
        self, workspace: str, request: SubscriptionRequest, **options: Unpack[CallOptions]
    ) -> SubscriptionPreview:
        """Says what a change would cost, and changes nothing."""
        call = Call[SubscriptionPreview](
            "POST", path("/v1/workspaces/{}/subscription/preview", workspace), body=request
        )
        return self._sender.send(call, options)
