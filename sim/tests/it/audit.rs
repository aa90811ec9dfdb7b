//! The audit of the rules: a journal whose numbers follow from one another, but that the rules
//! would not have allowed, is found on both engines.
//!
//! That every entry of a random history decides again as it was decided is checked with each seed
//! (`engines`).

use tollkeeper_engine::transfer::StreamWriter;
use tollkeeper_engine::{AuditOptions, AuditReport, digest, embedded, postgres};
use tollkeeper_ledger::{
    Account, Actor, ChargeDetails, ChargeId, ChargeState, Command, Draw, EntryBody, Grant, GrantId, Id,
    IdempotencyKey, Limit, LostPart, Micros, Operation, OperationId, Outcome, PaymentChange, PaymentCommand,
    Period, PeriodWindow, PeriodWindows, PriceVersion, Profile, Refund, RefundReason, Source, Spender,
    Status, Subject, Timestamp, TopUp, TopUpId, TopUpWay, WorkspaceId,
};
use tollkeeper_testkit::postgres::{is_missing, shared};
use tollkeeper_testkit::scratch::Scratch;

/// 2026-01-15T12:00:00Z.
const NOON: Timestamp = Timestamp::from_millis(1_768_478_400_000);
const DAY_SECONDS: i64 = 24 * 3_600;

/// A journal that is written without asking the rules.
struct Forgery {
    account: Account,
    now: Timestamp,
    journal: Vec<Vec<u8>>,
}

impl Forgery {
    fn new(id: WorkspaceId) -> Forgery {
        Forgery { account: Account::new(id), now: NOON, journal: Vec::new() }
    }

    /// The platform, with one operation whose price is 500.
    fn platform() -> Forgery {
        let mut platform = Forgery::new(WorkspaceId::platform());
        let operation = Operation { id: operation(), price: Micros::new(500).into(), timeout_seconds: None };
        let version = PriceVersion { version: 1, effective_at: NOON, operations: vec![operation] };
        platform.write(EntryBody::PricesSet(version));
        platform
    }

    /// A workspace with a promotional grant (entry 2) and a bought one's worth (entry 3).
    fn workspace(suspended: bool) -> Forgery {
        let mut acme = Forgery::new(WorkspaceId::new("acme").expect("an allowed name"));
        let profile = Profile { suspended, created_at: NOON, ..acme.account.profile.as_ref().clone() };
        acme.write(EntryBody::WorkspaceCreated(Box::new(profile)));
        for source in [Source::Promotional, Source::Adjustment] {
            let n = acme.account.chain.n + 1;
            let amount = Micros::new(10_000);
            let id = GrantId(Id::v7(NOON.millis(), 0, n));
            let grant = Grant { id, n, source, amount, remaining: amount, voided_at: None };
            acme.write(EntryBody::Granted { grant, reason: None, origin: None, paid_cents: 0 });
        }
        acme
    }

    fn write(&mut self, body: EntryBody) {
        self.write_under(None, body);
    }

    fn write_under(&mut self, key: Option<IdempotencyKey>, body: EntryBody) {
        let entry = self.account.record(body, key, Actor::Platform, self.now);
        let mut bytes = Vec::new();
        entry.encode(&mut bytes);
        self.account.link(digest(&bytes));
        self.account.grants.release_spent();
        self.journal.push(bytes);
    }

    /// A charge of `quantity` units that draws from the grant of an entry.
    fn charge(&mut self, quantity: i64, grant: u64, windows: Option<PeriodWindows>) -> ChargeDetails {
        let amount = Micros::new(500 * quantity);
        let details = ChargeDetails {
            id: ChargeId(Id::v7(NOON.millis(), 0, self.account.chain.n + 1)),
            spender: Spender { operation: operation(), worker: None, member: None, api_key: None },
            quantity: quantity.into(),
            price: Micros::new(500).into(),
            amount,
            price_version: 1,
            reference: None,
            metadata: None,
            await_outcome: true,
            outcome_by_platform: false,
            timeout_seconds: Some(600),
            deadline: Some(self.now.plus_seconds(600)),
            draws: vec![Draw { grant, amount }].into(),
            windows: windows.map(Box::new),
        };
        self.write(EntryBody::ChargeOpened(Box::new(details.clone())));
        details
    }

    /// Refunds a pending charge of the last entry as timed out.
    fn time_out(&mut self, details: &ChargeDetails) {
        let state = ChargeState {
            status: Status::Refunded,
            outcome: Some(Outcome::TimedOut),
            refunded: details.amount,
            refunds: 1,
            quantity: details.quantity.total(),
            deadline: None,
        };
        self.write(EntryBody::ChargeRefunded(Box::new(Refund {
            charge: details.id,
            opening_entry: self.account.chain.n,
            amount: details.amount,
            reason: RefundReason::TimedOut,
            detail: None,
            requested: None,
            from_pending: true,
            returns: details.draws.to_vec(),
            taken: Micros::ZERO,
            state,
            spender: details.spender.clone(),
            windows: None,
            used: None,
        })));
    }
}

fn operation() -> OperationId {
    OperationId::new("message").expect("an allowed name")
}

/// Imports the journals into both engines and audits them by the rules. The journals agree.
fn audited(journals: &[Forgery]) -> Vec<String> {
    let mut stream = StreamWriter::begin(Vec::new()).expect("memory can be written");
    for forgery in journals {
        for bytes in &forgery.journal {
            stream.entry(&forgery.account.profile.id, bytes).expect("memory can be written");
        }
    }
    let stream = stream.end().expect("memory can be written").0;
    let options = AuditOptions { rules: true, ..AuditOptions::default() };
    let directory = Scratch::new();
    embedded::import(directory.path(), &stream[..]).expect("every number follows");
    let findings = findings(embedded::audit_with(directory.path(), None, options).expect("it can be read"));
    if !is_missing() {
        let database = shared().database();
        postgres::import(&database.url(), &stream[..]).expect("every number follows");
        let on_database = postgres::audit_with(&database.url(), options).expect("it can be read");
        assert_eq!(self::findings(on_database), findings);
    }
    findings
}

/// The findings, each as the number of its entry and the sentence.
fn findings(report: AuditReport) -> Vec<String> {
    assert!(report.disagreement.is_none(), "{:?}", report.disagreement);
    let findings = report.rules.expect("the audit was asked for them");
    assert_eq!(findings.count, findings.first.len() as u64);
    let entry = |found: &tollkeeper_engine::AuditDisagreement| found.entry.expect("it is about an entry");
    findings.first.iter().map(|found| format!("{}: {}", entry(found), found.what)).collect()
}

#[test]
fn what_the_rules_allow_is_no_finding() {
    let mut acme = Forgery::workspace(false);
    let charge = acme.charge(3, 2, None);
    acme.now = NOON.plus_seconds(600);
    acme.time_out(&charge);
    assert_eq!(audited(&[Forgery::platform(), acme]), Vec::<String>::new());
}

#[test]
fn a_claw_back_that_an_earlier_version_wrote_is_no_finding() {
    let mut acme = Forgery::workspace(false);
    let grant = GrantId(Id::v7(NOON.millis(), 0, 2));
    let (dispute, amount) = (Box::from("d1"), Micros::new(4_000));
    let draws = vec![Draw { grant: 2, amount }];
    acme.write(EntryBody::ClawedBack { grant, dispute, amount, draws: draws.clone() });
    acme.write(EntryBody::ClawBackRestored { dispute: "d1".into(), returns: draws });
    acme.charge(3, 2, None);
    assert_eq!(audited(&[Forgery::platform(), acme]), Vec::<String>::new());
}

#[test]
fn a_loss_that_an_earlier_version_said_of_a_top_ups_grant_is_no_finding() {
    let mut acme = Forgery::workspace(false);
    let top_up = TopUpId(Id::v7(NOON.millis(), 0, 4));
    let payment: Box<str> = TopUp::manual_payment(top_up).into();
    let opened = PaymentChange::TopUpOpened { top_up, cents: 100, way: TopUpWay::Manual };
    acme.write(EntryBody::Payment(Box::new(opened)));
    let confirm = Command::Payment(PaymentCommand::ConfirmTopUp(top_up));
    let (n, amount) = (acme.account.chain.n + 1, Micros::from_cents(100));
    let id = GrantId(Id::v7(NOON.millis(), 0, n));
    let grant = Grant { id, n, source: Source::TopUp, amount, remaining: amount, voided_at: None };
    let origin = Some(payment.clone());
    acme.write_under(
        confirm.derived_key(),
        EntryBody::Granted { grant, reason: None, origin, paid_cents: 100 },
    );
    let paid = PaymentChange::TopUpSucceeded { top_up, payment, grant: id, tax_cents: 0 };
    acme.write(EntryBody::Payment(Box::new(paid)));
    let (lost_cents, paid_cents, credit) = (30, 100, Micros::new(30_000));
    let lost = LostPart { grant: id, lost_cents, paid_cents, credit, evidence: "dp_1".into() };
    let draws = vec![Draw { grant: n, amount: credit }];
    acme.write(EntryBody::ClawBackIncreased { lost, owed: Micros::ZERO, draws });
    acme.charge(3, 2, None);
    assert_eq!(audited(&[Forgery::platform(), acme]), Vec::<String>::new());
}

#[test]
fn a_lost_part_that_is_taken_from_another_grant_is_a_finding() {
    let mut acme = Forgery::workspace(false);
    let grant = GrantId(Id::v7(NOON.millis(), 0, 3));
    let (lost_cents, paid_cents, credit) = (1, 10, Micros::new(1_000));
    let lost = LostPart { grant, lost_cents, paid_cents, credit, evidence: "dp_1".into() };
    // The lost grant itself is unspent, and would give first.
    let draws = vec![Draw { grant: 2, amount: credit }];
    acme.write(EntryBody::ClawBackIncreased { lost, owed: Micros::ZERO, draws });
    let expected = ["4: the rules would write another content"];
    assert_eq!(audited(&[Forgery::platform(), acme]), expected);
}

#[test]
fn a_charge_in_a_suspended_workspace_is_a_finding() {
    let mut acme = Forgery::workspace(true);
    acme.charge(1, 2, None);
    assert_eq!(audited(&[Forgery::platform(), acme]), ["4: the rules would refuse it: workspace_suspended"]);
}

#[test]
fn a_charge_beyond_a_limit_is_a_finding() {
    let mut acme = Forgery::workspace(false);
    let midnight = NOON.plus_seconds(-DAY_SECONDS / 2);
    let window = |days: i64, length: i64| PeriodWindow {
        start: midnight.plus_seconds(days * DAY_SECONDS),
        end: midnight.plus_seconds((days + length) * DAY_SECONDS),
    };
    let windows = PeriodWindows { day: window(0, 1), month: window(-14, 31) };
    let (subject, period, since) = (Subject::Workspace, Period::Day, midnight);
    let limit = |used| Limit { subject: subject.clone(), period, amount: Micros::new(100), since, used };
    acme.write(EntryBody::LimitsSet(vec![limit(Micros::ZERO)]));
    acme.charge(10, 2, Some(windows));
    let findings = audited(&[Forgery::platform(), acme]);
    assert_eq!(findings, ["5: the rules would refuse it: limit_exceeded"]);
}

#[test]
fn a_limit_that_forgets_what_was_spent_is_a_finding() {
    let mut acme = Forgery::workspace(false);
    acme.charge(10, 2, None);
    let midnight = NOON.plus_seconds(-DAY_SECONDS / 2);
    let (subject, period, amount) = (Subject::Workspace, Period::Day, Micros::new(10_000));
    acme.write(EntryBody::LimitsSet(vec![Limit {
        subject,
        period,
        amount,
        since: midnight,
        used: Micros::ZERO,
    }]));
    let findings = audited(&[Forgery::platform(), acme]);
    assert_eq!(findings, ["5: the rules would count another use of a limit"]);
}

#[test]
fn a_draw_in_the_wrong_order_is_a_finding() {
    let mut acme = Forgery::workspace(false);
    acme.charge(1, 3, None);
    assert_eq!(audited(&[Forgery::platform(), acme]), ["4: the rules would draw from other grants"]);
}

#[test]
fn a_time_out_before_its_deadline_is_a_finding() {
    let mut acme = Forgery::workspace(false);
    let charge = acme.charge(1, 2, None);
    acme.now = NOON.plus_seconds(599);
    acme.time_out(&charge);
    assert_eq!(audited(&[Forgery::platform(), acme]), ["5: the rules would write nothing"]);
}

#[test]
fn a_charge_is_decided_again_by_the_prices_of_its_time() {
    let mut platform = Forgery::platform();
    platform.now = NOON.plus_seconds(DAY_SECONDS);
    let operation = Operation { id: operation(), price: Micros::new(700).into(), timeout_seconds: None };
    let version = PriceVersion { version: 2, effective_at: platform.now, operations: vec![operation] };
    platform.write(EntryBody::PricesSet(version));
    let mut acme = Forgery::workspace(false);
    acme.charge(1, 2, None);
    acme.now = platform.now.plus_seconds(600);
    acme.charge(1, 2, None);
    let findings = audited(&[platform, acme]);
    assert_eq!(findings, ["5: the rules would price it by another version"], "the older one was right");
}
