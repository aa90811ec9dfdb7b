//! The lists on the page about credits: grants with what is left of them, and payments with what
//! became of them and what went back.

use tollkeeper_engine::{GrantRecord, Listing, Page};
use tollkeeper_ledger::{
    Grant, Micros, Payments, Source, SubscriptionPayment, Timestamp, TopUp, TopUpStatus,
};

use super::{PATH, path_of};
use crate::dashboard::frame::Visit;
use crate::http::call::Call;
use crate::http::problem::Problem;
use crate::wire::page::newest_first;

/// A page of a list.
pub struct List<T> {
    pub rows: Vec<T>,
    /// The link to its newest rows; `None` if they are shown.
    pub newest: Option<&'static str>,
    /// The link to older rows.
    pub older: Option<String>,
}

/// An amount of credit in both units.
pub struct Amount {
    pub usd: String,
    pub credits: String,
}

/// Credit that was added.
pub struct GrantRow {
    pub when: String,
    pub source: &'static str,
    /// The reason of the platform; empty if there is none.
    pub reason: String,
    /// Whether and when it was taken back; empty if it was not.
    pub voided: String,
    pub granted: Amount,
    pub left: Amount,
}

/// A payment, or a top-up that waits for one.
pub struct PaymentRow {
    pub when: String,
    pub what: String,
    /// The page about it; `None` if it has none.
    pub path: Option<String>,
    pub status: &'static str,
    /// The class of the status.
    pub tone: &'static str,
    /// Why it failed, and what went back.
    pub notes: Vec<String>,
    pub usd: String,
    /// The credit that it has brought; `None` if none.
    pub credits: Option<String>,
}

/// A row of the payments, before it is written.
enum Payment<'a> {
    TopUp(&'a TopUp),
    Period(&'a SubscriptionPayment),
}

impl Payment<'_> {
    fn at(&self) -> Timestamp {
        match self {
            Payment::TopUp(top_up) => top_up.opened_at,
            Payment::Period(payment) => payment.start,
        }
    }
}

impl<T> List<T> {
    /// A list whose cursor is in the parameter `name`.
    fn of(call: &Call, name: &str, rows: Vec<T>, next: Option<&str>) -> List<T> {
        let link = |cursor: &str| {
            let cursor: String = form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
            format!("{PATH}?{name}={cursor}#{name}")
        };
        let is_newest = call.query().get(name).is_none();
        List { rows, newest: (!is_newest).then_some(PATH), older: next.map(link) }
    }
}

/// The grants of a page of the list.
pub fn grants(call: &Call, visit: &Visit<'_>, listing: &Listing<GrantRecord>) -> List<GrantRow> {
    let rows = listing.data.iter().map(|record| grant_row(visit, record)).collect();
    List::of(call, "grants", rows, listing.next.as_deref())
}

fn grant_row(visit: &Visit<'_>, record: &GrantRecord) -> GrantRow {
    let (words, format) = (&visit.words().credits.history, &visit.format);
    let Grant { source, amount, remaining, voided_at, .. } = record.grant;
    let both = |amount| Amount { usd: format.usd(amount), credits: format.micro_units(amount) };
    // The reason of a grant that was paid for names its payment, not a reason for people.
    let is_given = matches!(source, Source::Promotional | Source::Adjustment);
    let reason = record.reason.as_deref().filter(|_| is_given).unwrap_or_default();
    GrantRow {
        when: format.recent_time(record.created_at, visit.now()),
        source: (words.source)(source),
        reason: reason.to_owned(),
        voided: voided_at.map(|at| (words.voided)(&format.time(at))).unwrap_or_default(),
        granted: both(amount),
        left: both(remaining),
    }
}

/// The payments of a page of the list, newest first.
///
/// # Errors
/// The cursor is not one of the list.
pub fn payments(
    call: &Call,
    visit: &Visit<'_>,
    payments: &Payments,
    page: &Page,
) -> Result<List<PaymentRow>, Problem> {
    let top_ups = payments.top_ups.iter().map(Payment::TopUp);
    let periods = payments.of_subscriptions.iter().map(Payment::Period);
    let mut all: Vec<Payment<'_>> = top_ups.chain(periods).collect();
    all.sort_by_key(Payment::at);
    let listing = newest_first(&all, Payment::at, page)?;
    let rows = listing.data.iter().map(|payment| match payment {
        Payment::TopUp(top_up) => top_up_row(visit, payments, top_up),
        Payment::Period(payment) => period_row(visit, payments, payment),
    });
    Ok(List::of(call, "payments", rows.collect(), listing.next.as_deref()))
}

/// The class of a status: colour is never alone, the words say the same.
pub fn tone(status: TopUpStatus) -> &'static str {
    match status {
        TopUpStatus::Pending => "warn",
        TopUpStatus::Succeeded => "good",
        TopUpStatus::Failed => "bad",
        TopUpStatus::Expired => "soft",
    }
}

fn top_up_row(visit: &Visit<'_>, payments: &Payments, top_up: &TopUp) -> PaymentRow {
    let (words, format) = (&visit.words().credits.history, &visit.format);
    let failure = top_up.failure.map(|failure| (words.failure)(failure).to_owned());
    let back = top_up.payment.as_deref().map(|payment| money_back(visit, payments, payment));
    PaymentRow {
        when: format.recent_time(top_up.opened_at, visit.now()),
        what: (words.way)(top_up.way).to_owned(),
        path: Some(path_of(top_up.id)),
        status: (words.status_of)(top_up.status),
        tone: tone(top_up.status),
        notes: failure.into_iter().chain(back.into_iter().flatten()).collect(),
        usd: format.cents(top_up.cents),
        credits: top_up.grant.map(|_| format.micro_units(top_up.credits())),
    }
}

fn period_row(visit: &Visit<'_>, payments: &Payments, payment: &SubscriptionPayment) -> PaymentRow {
    let (words, format) = (&visit.words().credits.history, &visit.format);
    let brought = payment.parts.iter().fold(Micros::ZERO, |sum, part| sum + part.credits);
    PaymentRow {
        when: format.recent_time(payment.start, visit.now()),
        // A date may have a line end within it: the column is narrow on a phone.
        what: (words.period)(&format.date(format.date_at(payment.start)).replace('\u{a0}', " ")),
        path: None,
        status: (words.status_of)(TopUpStatus::Succeeded),
        tone: tone(TopUpStatus::Succeeded),
        notes: money_back(visit, payments, &payment.payment),
        usd: format.cents(payment.cents),
        credits: Some(format.micro_units(brought)),
    }
}

/// What went back of a payment, a sentence each.
pub fn money_back(visit: &Visit<'_>, payments: &Payments, payment: &str) -> Vec<String> {
    let (words, format) = (&visit.words().credits.history, &visit.format);
    let of_payment = payments.back.refunds.iter().filter(|refund| &*refund.payment == payment);
    let refunds = of_payment.map(|refund| {
        let at = refund.ended_at.unwrap_or(refund.requested_at);
        (words.refund)(refund.status, &format.cents(refund.cents), &format.date(format.date_at(at)))
    });
    let elsewhere = payments.back.elsewhere_cents(payment);
    let lost = (elsewhere > 0).then(|| (words.lost)(&format.cents(elsewhere)));
    refunds.chain(lost).collect()
}
