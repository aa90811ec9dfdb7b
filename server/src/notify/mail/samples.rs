//! One sample of every mail, to look at: `tollkeeper mail preview` writes them to files, and tests
//! compare them with what they were.

use jiff::ToSpan;
use jiff::civil::date;
use tollkeeper_ledger::{
    AlertLine, Balance, EndpointFault, MailFault, Micros, OperationId, Period, StopReason, Subject,
    Timestamp, TopUpFailure, WorkerId, WorkspaceId,
};

use super::about::{About, Line};
use super::context::{Burn, Context, WhyYou, WorkspaceFacts};

/// A mail to look at.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name, which can be that of a file.
    pub name: &'static str,
    /// What it is about.
    pub about: About,
    /// What it says besides.
    pub context: Context,
}

/// 2026-11-29T14:05:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_961_100_000);

/// The end of that day in Berlin, a day before that of the month.
const MIDNIGHT: Timestamp = Timestamp::from_millis(1_795_993_200_000);

/// One sample of every mail.
#[must_use]
pub fn all() -> Vec<Sample> {
    let groups = [of_balance(), of_payments(), of_subscriptions(), of_delivery()];
    let sample = |(name, available, about): (&'static str, i64, About)| {
        let mut context = match &about {
            About::ConfirmAddress { .. } => {
                Context { unsubscribe_url: None, why_you: WhyYou::Unconfirmed, ..workspace(available) }
            }
            About::EndpointDisabled { .. } | About::EndpointFailing { .. } => platform(),
            _ => workspace(available),
        };
        let brings_nothing =
            matches!(about, About::SubscriptionPastDue { .. } | About::SubscriptionEnded { .. });
        if let Some(facts) = context.workspace.as_mut().filter(|_| brings_nothing) {
            facts.next_grant_on = None;
        }
        Sample { name, about, context }
    };
    groups.into_iter().flatten().map(sample).collect()
}

/// The context of a mail about a workspace with so much credit.
fn workspace(available: i64) -> Context {
    let url = |path: &str| format!("https://billing.example.com{path}");
    let daily_average = Micros::new(61_250);
    let runway_days = Micros::new(available).whole_units(daily_average);
    let burn = Burn {
        daily_average,
        runway_days: u32::try_from(runway_days).ok(),
        depletes_on: Some(date(2026, 11, 29).saturating_add(runway_days.days())),
        top: vec![
            ("virtual_try_on".to_owned(), Micros::new(40_000)),
            ("product_listing".to_owned(), Micros::new(15_000)),
            ("support_message".to_owned(), Micros::new(6_250)),
        ],
    };
    let debt = if available < 0 { -available } else { 0 };
    let balance = Balance {
        available: Micros::new(available.max(0)),
        pending: Micros::new(20_000),
        debt: Micros::new(debt),
    };
    Context {
        workspace: Some(WorkspaceFacts {
            id: WorkspaceId::new("acme").expect("a name"),
            name: "Acme Fashion".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            balance,
            burn: Some(burn).filter(|_| available > 0),
            next_grant_on: Some(date(2026, 12, 23)),
            add_credits_url: Some("https://shop.example.com/credits?workspace=acme".to_owned()),
        }),
        manage_url: Some(url("/portal")),
        unsubscribe_url: Some(url("/mail/unsubscribe/acme/ada/balance.low?token=kq3vX0")),
        why_you: WhyYou::Admin,
        amount_in_subject: false,
    }
}

fn platform() -> Context {
    Context {
        workspace: None,
        manage_url: None,
        unsubscribe_url: None,
        why_you: WhyYou::Platform,
        amount_in_subject: false,
    }
}

fn amount(micros: i64) -> Line {
    let amount = Micros::new(micros);
    Line { watched: AlertLine::Amount(amount), amount }
}

fn of_balance() -> Vec<(&'static str, i64, About)> {
    let available = Micros::new(420_000);
    let runway = Line { watched: AlertLine::RunwayDays(7), amount: Micros::new(428_750) };
    let operation = OperationId::new("virtual_try_on").expect("a name").to_string();
    let refused = |refusals| About::Refused {
        operation: operation.clone(),
        required: Micros::new(20_000),
        available: Micros::new(1_250),
        refusals,
    };
    let worker = Subject::Worker(WorkerId::new("w-7").expect("a name"));
    let limit = |subject, period, amount, days: i64| About::Limit {
        subject,
        period,
        amount: Micros::new(amount),
        resets_at: MIDNIGHT.plus_seconds(days * 86_400),
    };
    vec![
        ("low", 420_000, About::Low { lines: vec![amount(500_000)], available }),
        (
            "low_several",
            420_000,
            About::Low { lines: vec![amount(500_000), amount(1_000_000), runway], available },
        ),
        ("low_runway", 420_000, About::Low { lines: vec![runway], available }),
        ("used_up", 0, About::Low { lines: vec![amount(500_000)], available: Micros::ZERO }),
        (
            "recovered",
            2_420_000,
            About::Recovered { lines: vec![amount(500_000)], available: Micros::new(2_420_000) },
        ),
        ("refused", 1_250, refused(1)),
        ("refused_many", 1_250, refused(10_000)),
        ("limit_worker", 420_000, limit(worker, Period::Day, 5_000_000, 0)),
        ("limit_workspace", 420_000, limit(Subject::Workspace, Period::Month, 100_000_000, 1)),
        ("test", 420_000, About::Test),
    ]
}

fn of_payments() -> Vec<(&'static str, i64, About)> {
    let credits = Micros::new(2_000_000);
    let failed = |failure, is_automatic| About::TopUpFailed { cents: 2_000, failure, is_automatic };
    vec![
        ("top_up", 2_420_000, About::TopUpSucceeded { cents: 2_000, credits, is_automatic: false }),
        ("top_up_automatic", 2_420_000, About::TopUpSucceeded { cents: 2_000, credits, is_automatic: true }),
        ("top_up_failed", 420_000, failed(TopUpFailure::HardDecline, false)),
        ("top_up_automatic_failed", 420_000, failed(TopUpFailure::SoftDecline, true)),
        ("top_up_refunded", 420_000, About::TopUpRefunded { cents: 2_000 }),
        ("auto_top_up_paused", 420_000, About::AutoTopUpPaused { until: NOW.plus_seconds(86_400) }),
        ("auto_top_up_stopped", 420_000, About::AutoTopUpStopped { why: StopReason::AuthenticationNeeded }),
        ("dispute", 420_000, About::Dispute { cents: 2_000, is_disputed: true }),
        ("payment_taken_back", 420_000, About::Dispute { cents: 2_000, is_disputed: false }),
        ("debt", -300_000, About::Debt { owed: Micros::new(300_000) }),
    ]
}

fn of_subscriptions() -> Vec<(&'static str, i64, About)> {
    let plan = || "Growth".to_owned();
    vec![
        (
            "subscription_renewed",
            4_420_000,
            About::SubscriptionRenewed { plan: plan(), credits: Micros::new(4_000_000) },
        ),
        ("subscription_past_due", 420_000, About::SubscriptionPastDue { plan: plan() }),
        ("subscription_ended", 420_000, About::SubscriptionEnded { plan: plan() }),
    ]
}

fn of_delivery() -> Vec<(&'static str, i64, About)> {
    let endpoint = || "https://hooks.example.com/tollkeeper".to_owned();
    let confirm_url = "https://billing.example.com/mail/confirm/acme/rcp_1?token=b4Zr1f".to_owned();
    let refused = |how| About::AddressRefused { address: "billing@acme.example".to_owned(), how };
    vec![
        ("confirm_address", 420_000, About::ConfirmAddress { confirm_url }),
        ("address_bounced", 420_000, refused(MailFault::Bounced)),
        ("address_complained", 420_000, refused(MailFault::Complained)),
        (
            "endpoint_failing",
            0,
            About::EndpointFailing {
                url: endpoint(),
                hours: 24,
                last_outcome: "the receiver answered 503".to_owned(),
            },
        ),
        ("endpoint_disabled", 0, About::EndpointDisabled { url: endpoint(), fault: EndpointFault::Failing }),
    ]
}
