//! The kinds of entries, each with its code and its name.
//!
//! A code stands in the bytes of every entry of its kind, so it never changes and is never used
//! again. The name is the one in the API. What the entries of a kind contain is in `entry`.

use super::codec::coded;

/// The kinds of entries, without their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is a variant of EntryBody, Alert, TeamChange, PaymentChange or SubscriptionChange, where it is described"
)]
pub enum Kind {
    WorkspaceCreated,
    WorkspaceUpdated,
    Granted,
    GrantVoided,
    ClawedBack,
    DebtRepaid,
    ReturnTaken,
    ClawBackExchanged,
    ClawBackRestored,
    ChargeOpened,
    ChargeSettled,
    ChargeRefunded,
    ChargeExtended,
    LimitsSet,
    AlertsSet,
    BalanceLow,
    PricesSet,
    PlansSet,
    PlatformKeySet,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyUsed,
    PortalLinkCreated,
    PortalSignedIn,
    PortalSignedOut,
    PortalAllSignedOut,
    SettingsChanged,
    LedgerRestored,
    MemberErased,
    ClawBackIncreased,
    ClawBackReduced,
    TopUpOpened,
    TopUpSucceeded,
    CustomerLinked,
    CardSaved,
    CardRemoved,
    AutoTopUpSet,
    AutoTopUpPaused,
    AutoTopUpStopped,
    TopUpPlaced,
    TopUpFailed,
    TopUpExpired,
    CallRenewed,
    PaymentRefundRequested,
    PaymentRefundPlaced,
    PaymentRefundSucceeded,
    PaymentRefundFailed,
    PaymentLost,
    PaymentUnmatched,
    SubscriptionStarted,
    SubscriptionChangeAsked,
    SubscriptionChanged,
    SubscriptionChangeDropped,
    SubscriptionRenewed,
    SubscriptionPastDue,
    SubscriptionCancelAsked,
    SubscriptionResumed,
    SubscriptionEnded,
    SubscriptionPlaced,
    SubscriptionPeriodPaid,
    BalanceRecovered,
    BalanceRefused,
    LimitReached,
    WebhookEndpointRemoved,
    WebhookEndpointSet,
}

coded!(Kind, "an entry's kind", {
    WorkspaceCreated = 1 "workspace.created",
    WorkspaceUpdated = 2 "workspace.updated",
    Granted = 3 "grant.created",
    GrantVoided = 4 "grant.voided",
    ClawedBack = 5 "claw_back.taken",
    DebtRepaid = 6 "claw_back.repaid",
    ClawBackRestored = 7 "claw_back.restored",
    ChargeOpened = 8 "charge.opened",
    ChargeSettled = 9 "charge.settled",
    ChargeRefunded = 10 "charge.refunded",
    ChargeExtended = 11 "charge.extended",
    LimitsSet = 12 "limits.set",
    AlertsSet = 13 "alerts.set",
    BalanceLow = 14 "balance.low",
    PricesSet = 15 "price_book.set",
    PlatformKeySet = 16 "platform_key.set",
    MemberAdded = 17 "member.added",
    MemberChanged = 18 "member.changed",
    MemberRemoved = 19 "member.removed",
    ApiKeyCreated = 20 "api_key.created",
    ApiKeyRevoked = 21 "api_key.revoked",
    ApiKeyUsed = 22 "api_key.used",
    PortalLinkCreated = 23 "portal.link_made",
    PortalSignedIn = 24 "portal.signed_in",
    PortalSignedOut = 25 "portal.signed_out",
    PortalAllSignedOut = 26 "portal.all_signed_out",
    ReturnTaken = 27 "grant.return_taken",
    ClawBackExchanged = 28 "claw_back.exchanged",
    SettingsChanged = 29 "settings.changed",
    LedgerRestored = 30 "ledger.restored",
    MemberErased = 31 "member.erased",
    PlansSet = 32 "plans.set",
    ClawBackIncreased = 33 "claw_back.increased",
    ClawBackReduced = 34 "claw_back.reduced",
    TopUpOpened = 35 "top_up.opened",
    TopUpSucceeded = 36 "top_up.succeeded",
    CustomerLinked = 37 "customer.linked",
    CardSaved = 38 "payment_method.saved",
    CardRemoved = 39 "payment_method.removed",
    AutoTopUpSet = 40 "auto_top_up.set",
    AutoTopUpPaused = 41 "auto_top_up.paused",
    AutoTopUpStopped = 42 "auto_top_up.stopped",
    TopUpPlaced = 43 "top_up.placed",
    TopUpFailed = 44 "top_up.failed",
    TopUpExpired = 45 "top_up.expired",
    PaymentRefundRequested = 46 "payment_refund.requested",
    PaymentRefundPlaced = 47 "payment_refund.placed",
    PaymentRefundSucceeded = 48 "payment_refund.succeeded",
    PaymentRefundFailed = 49 "payment_refund.failed",
    PaymentLost = 50 "payment.lost",
    PaymentUnmatched = 51 "payment.unmatched",
    CallRenewed = 52 "call.renewed",
    SubscriptionStarted = 53 "subscription.started",
    SubscriptionPlaced = 54 "subscription.placed",
    SubscriptionChangeAsked = 55 "subscription.change_asked",
    SubscriptionChanged = 56 "subscription.changed",
    SubscriptionChangeDropped = 57 "subscription.change_dropped",
    SubscriptionRenewed = 58 "subscription.renewed",
    SubscriptionPastDue = 59 "subscription.past_due",
    SubscriptionCancelAsked = 60 "subscription.cancel_asked",
    SubscriptionResumed = 61 "subscription.resumed",
    SubscriptionEnded = 62 "subscription.ended",
    SubscriptionPeriodPaid = 63 "subscription.period_paid",
    BalanceRecovered = 64 "balance.recovered",
    BalanceRefused = 65 "balance.refused",
    LimitReached = 66 "limit.reached",
    WebhookEndpointSet = 80 "webhook_endpoint.set",
    WebhookEndpointRemoved = 81 "webhook_endpoint.removed",
});

impl Kind {
    /// True for a kind of the platform's own journal; all others are of a workspace's.
    #[must_use]
    pub const fn is_for_platform(self) -> bool {
        matches!(
            self,
            Kind::PricesSet
                | Kind::PlansSet
                | Kind::PlatformKeySet
                | Kind::SettingsChanged
                | Kind::LedgerRestored
                | Kind::WebhookEndpointSet
                | Kind::WebhookEndpointRemoved
                | Kind::PaymentUnmatched
        )
    }
}
