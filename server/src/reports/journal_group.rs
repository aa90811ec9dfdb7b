//! The groups into which the kinds of entries of a workspace's journal fall, for a filter and for
//! what a member may see.

use tollkeeper_ledger::Kind;

/// A group of kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Charges, their outcomes and refunds.
    Charges,
    /// Credit that comes in or is taken back.
    Credit,
    /// Top-ups, cards, and money that goes back.
    Payments,
    /// The subscription.
    Plan,
    /// Low balances and refusals.
    Warnings,
    /// The workspace, its limits and thresholds.
    Settings,
    /// Members and their sessions.
    Team,
    /// API keys.
    Keys,
    /// E-mails and their recipients.
    Mails,
}

impl Group {
    /// All groups, in the order in which they are offered.
    pub const ALL: [Group; 9] = [
        Group::Charges,
        Group::Credit,
        Group::Payments,
        Group::Plan,
        Group::Warnings,
        Group::Settings,
        Group::Team,
        Group::Keys,
        Group::Mails,
    ];

    /// The name in the address of the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Group::Charges => "charges",
            Group::Credit => "credit",
            Group::Payments => "payments",
            Group::Plan => "plan",
            Group::Warnings => "warnings",
            Group::Settings => "settings",
            Group::Team => "team",
            Group::Keys => "keys",
            Group::Mails => "mails",
        }
    }

    /// The group with this name.
    pub fn named(name: &str) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.as_str() == name)
    }

    /// Whether it is about money that comes in or goes back, which only admins see.
    pub const fn is_money(self) -> bool {
        matches!(self, Group::Credit | Group::Payments | Group::Plan)
    }

    /// The group of a kind. Kinds of the platform's journal are in no journal of a workspace.
    pub const fn of(kind: Kind) -> Group {
        match kind {
            Kind::ChargeOpened | Kind::ChargeSettled | Kind::ChargeRefunded | Kind::ChargeExtended => {
                Group::Charges
            }
            Kind::BalanceLow | Kind::BalanceRecovered | Kind::BalanceRefused | Kind::LimitReached => {
                Group::Warnings
            }
            Kind::MemberAdded
            | Kind::MemberChanged
            | Kind::MemberRemoved
            | Kind::MemberErased
            | Kind::PortalLinkCreated
            | Kind::PortalSignedIn
            | Kind::PortalSignedOut
            | Kind::PortalAllSignedOut => Group::Team,
            Kind::ApiKeyCreated | Kind::ApiKeyRevoked | Kind::ApiKeyUsed => Group::Keys,
            Kind::RecipientAdded
            | Kind::RecipientRemoved
            | Kind::RecipientConfirmed
            | Kind::RecipientMuted
            | Kind::RecipientFailed
            | Kind::MailSent => Group::Mails,
            Kind::WorkspaceCreated
            | Kind::WorkspaceUpdated
            | Kind::LimitsSet
            | Kind::AlertsSet
            | Kind::PricesSet
            | Kind::PlansSet
            | Kind::PlatformKeySet
            | Kind::SettingsChanged
            | Kind::LedgerRestored
            | Kind::WebhookEndpointSet
            | Kind::WebhookEndpointRemoved
            | Kind::OperatorSignedIn
            | Kind::OperatorSignedOut => Group::Settings,
            money => Group::of_money(money),
        }
    }

    /// The group of a kind about money. A kind that is in no group is taken for one, so that a
    /// member does not see it.
    const fn of_money(kind: Kind) -> Group {
        match kind {
            Kind::Granted
            | Kind::GrantVoided
            | Kind::ClawedBack
            | Kind::DebtRepaid
            | Kind::ReturnTaken
            | Kind::ClawBackExchanged
            | Kind::ClawBackRestored
            | Kind::ClawBackIncreased
            | Kind::ClawBackReduced => Group::Credit,
            Kind::SubscriptionStarted
            | Kind::SubscriptionPlaced
            | Kind::SubscriptionChangeAsked
            | Kind::SubscriptionChanged
            | Kind::SubscriptionChangeDropped
            | Kind::SubscriptionRenewed
            | Kind::SubscriptionPeriodPaid
            | Kind::SubscriptionPastDue
            | Kind::SubscriptionCancelAsked
            | Kind::SubscriptionResumed
            | Kind::SubscriptionEnded => Group::Plan,
            _ => Group::Payments,
        }
    }
}
