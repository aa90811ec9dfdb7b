//! Random commands about payments: top-ups, cards and their rule, subscriptions, payments that are
//! lost, and money that goes back.

use tollkeeper_ledger::{
    AutoTopUpCommand, Card, CardCommand, CollectedCommand, Command, Customer, Ends, Micros, PaymentCommand,
    PaymentRefundCommand, PaymentRefundId, Placement, PlanId, Provider, ProviderCall, ProviderCommand,
    StopReason, Subscription, SubscriptionCommand, SubscriptionId, Terms, TopUp, TopUpBounds, TopUpFailure,
    TopUpId, TopUpStatus, TopUpWay, UnmatchedPayment,
};

use super::Workload;
use crate::model::Pool;
use crate::model::step::{index_of, unknown_id};
use crate::random::Random;

impl Workload {
    /// Opens a top-up, ends one, or changes what pays for automatic ones.
    pub(super) fn payment(&mut self, pool: &Pool) -> Command {
        match self.random.below(10) {
            0..5 => self.top_up(pool),
            5 => Command::Payment(PaymentCommand::Card(self.card(pool))),
            6 if pool.card().is_none() => Command::Payment(PaymentCommand::Card(self.card(pool))),
            _ => Command::Payment(PaymentCommand::AutoTopUp(self.rule(pool))),
        }
    }

    /// Mostly what leads to a card: a customer, then a card of it. At times it goes.
    fn card(&mut self, pool: &Pool) -> CardCommand {
        let name = |random: &mut Random, prefix: &str| format!("{prefix}_{}", random.below(3)).into();
        let customer = pool.customer();
        if customer.is_none() || self.random.chance(60) {
            let present = customer.map(|customer| customer.id).filter(|_| !self.random.chance(200));
            let id = if self.random.chance(30) { "".into() } else { name(&mut self.random, "cus") };
            let customer = Customer { provider: Provider::Stripe, id };
            return CardCommand::LinkCustomer { customer, replaces: present };
        }
        if pool.card().is_some() && self.random.chance(300) {
            let id = self.random.chance(500).then(|| name(&mut self.random, "pm"));
            return CardCommand::RemoveCard { id };
        }
        CardCommand::SaveCard(Card {
            id: name(&mut self.random, "pm"),
            brand: "visa".into(),
            last4: if self.random.chance(30) { "42".into() } else { "4242".into() },
            expires_month: 1,
            expires_year: 2_030 + self.random.below(2) as u16,
        })
    }

    /// Mostly a rule that buys as much as its threshold, a few times in a month.
    fn rule(&mut self, pool: &Pool) -> AutoTopUpCommand {
        let runs = pool.rule().is_some_and(|rule| rule.is_running());
        if self.random.chance(if runs { 100 } else { 10 }) {
            let reasons = [StopReason::Requested, StopReason::Disputed, StopReason::FraudWarning];
            return AutoTopUpCommand::Stop { why: *self.random.pick(&reasons) };
        }
        if runs && self.random.chance(300) {
            return AutoTopUpCommand::OpenIfLow;
        }
        let cents = self.random.below(self.shape.richness / 50) as i64;
        let less = *self.random.pick(&[0, 0, 0, 1, 500, -1]);
        AutoTopUpCommand::Set {
            threshold: Micros::new(1_000 * cents - less),
            cents,
            monthly_cap_cents: cents * *self.random.pick(&[1, 2, 5, 50]) - i64::from(self.random.chance(50)),
            allowed: TopUpBounds { min_cents: *self.random.pick(&[1, 1, 2]), ..TopUpBounds::WIDEST },
        }
    }

    /// Opens a top-up, or confirms, fails or gives up one: mostly one that waits, at times any or
    /// an unknown one.
    fn top_up(&mut self, pool: &Pool) -> Command {
        let top_ups = pool.top_ups();
        if top_ups.is_empty() || self.random.chance(350) {
            let cents = match self.random.below(50) {
                0 => 0,
                1 => -1,
                2 => 100_000_000,
                _ => 1 + self.random.below(self.shape.richness / 500) as i64,
            };
            let min_cents = *self.random.pick(&[1, 1, 2]);
            let allowed = TopUpBounds { min_cents, ..TopUpBounds::WIDEST };
            let way = *self.random.pick(&[TopUpWay::Manual, TopUpWay::Checkout]);
            return Command::Payment(PaymentCommand::OpenTopUp { cents, way, allowed });
        }
        let waits: Vec<_> = top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Pending).collect();
        let id = if !waits.is_empty() && self.random.chance(700) {
            self.random.pick(&waits).id
        } else if self.random.chance(250) {
            TopUpId(unknown_id())
        } else {
            self.random.pick(&top_ups).id
        };
        if self.random.chance(300) {
            let failures = [
                TopUpFailure::SoftDecline,
                TopUpFailure::SoftDecline,
                TopUpFailure::HardDecline,
                TopUpFailure::AuthenticationNeeded,
                TopUpFailure::NotPaid,
                TopUpFailure::RefusedByProvider,
            ];
            let failure = *self.random.pick(&failures);
            return Command::Payment(PaymentCommand::FailTopUp { top_up: id, failure });
        }
        let late = pool.has_late_top_up(self.now);
        if self.random.chance(if late { 700 } else { 100 }) {
            return Command::Payment(PaymentCommand::ExpireTopUp(id));
        }
        match top_ups.iter().position(|top_up| top_up.id == id) {
            Some(index) if top_ups[index].way != TopUpWay::Manual && self.random.chance(850) => {
                Command::Payment(PaymentCommand::Provider(self.at_provider(index, &top_ups[index])))
            }
            _ => Command::Payment(PaymentCommand::ConfirmTopUp(id)),
        }
    }

    /// What a provider says about a top-up: mostly the truth, at times twice, late or wrong.
    fn at_provider(&mut self, index: usize, top_up: &TopUp) -> ProviderCommand {
        let other = self.random.below(index as u64 + 1);
        let number = if self.random.chance(900) { index as u64 } else { other };
        match self.random.below(11) {
            10 => ProviderCommand::ExpireTopUp { top_up: top_up.id },
            0..3 => {
                let name = if self.random.chance(30) { String::new() } else { format!("cs_{number}") };
                ProviderCommand::PlaceTopUp { top_up: top_up.id, reference: name.into() }
            }
            3 => {
                let generation = top_up.at_provider.generation;
                let lost = if self.random.chance(800) { generation } else { generation + 1 };
                ProviderCommand::RenewCall { call: ProviderCall::TopUp(top_up.id), lost }
            }
            _ => ProviderCommand::SucceedTopUp {
                top_up: top_up.id,
                payment: TopUp::provider_payment(Provider::Stripe, &format!("pi_{number}")).into(),
                cents: top_up.cents + i64::from(self.random.chance(200)),
                tax_cents: *self.random.pick(&[0, 0, 1, 475]) - i64::from(self.random.chance(60)),
            },
        }
    }

    /// Starts or changes a plan, pays, ticks or cancels. Payments mostly have new names.
    pub(super) fn subscription(&mut self, pool: &Pool) -> SubscriptionCommand {
        let current = pool.subscription().filter(|subscription| subscription.ended_at.is_none());
        let waits = current.as_ref().is_some_and(|subscription| subscription.anchor.is_none());
        let (starts, pays) = match current {
            None => (70, 80),
            Some(_) if waits => (10, 85),
            Some(_) => (45, 75),
        };
        if let Some(last) = pool.subscription().filter(|last| last.collected.is_some())
            && self.random.chance(if last.upgrade.is_some() { 850 } else { 500 })
        {
            return self.collected(&last);
        }
        if current.as_ref().is_some_and(|current| current.upgrade.is_some()) && self.random.chance(500) {
            self.payments += 1;
            let payment = format!("manual:{}", self.payments).into();
            return SubscriptionCommand::Confirm { change: true, payment };
        }
        match self.random.below(100) {
            roll if roll < starts => {
                let plan =
                    *self.random.pick(&["pro", "basic", "team", "pro", "basic", "team", "starter", "none"]);
                let collected_by = self.random.chance(350).then_some(Provider::Stripe);
                SubscriptionCommand::StartOrChange { plan: PlanId::new(plan).expect("a name"), collected_by }
            }
            roll if roll < pays => {
                self.payments += u64::from(self.random.chance(950));
                let payment = format!("manual:{}", self.payments).into();
                let likely = if current.is_some_and(|current| current.upgrade.is_some()) { 800 } else { 50 };
                SubscriptionCommand::Confirm { change: self.random.chance(likely), payment }
            }
            roll if roll < 96 => SubscriptionCommand::Tick { renews: self.random.chance(300) },
            _ => SubscriptionCommand::Cancel,
        }
    }

    /// What the provider of a subscription says: mostly what is to be, at times anything.
    fn collected(&mut self, last: &Subscription) -> SubscriptionCommand {
        let collected = last.collected.as_deref().expect("the caller looked");
        let (terms, change, ends) = last.wanted();
        let due = match last.months_paid {
            0 => self.now,
            _ => last.anchor.map_or(self.now, |anchor| anchor.plus_months(last.months_paid)),
        };
        self.payments += u64::from(self.random.chance(900));
        let payment = format!("stripe:in_{}", self.payments).into();
        let changes_to =
            last.upgrade.as_ref().map_or_else(|| terms.clone(), |upgrade| Terms::of(&upgrade.plan));
        let tax_cents = *self.random.pick(&[0, 0, 1, 475]) - i64::from(self.random.chance(30));
        let pays_change = last.upgrade.is_some() && self.random.chance(800);
        let command = match self.random.below(if pays_change { 1 } else { 100 }) {
            _ if pays_change => CollectedCommand::PayChange {
                number: last.changes,
                payment,
                terms: changes_to,
                cents: last.upgrade.as_ref().map_or(100, |upgrade| upgrade.due_cents),
                tax_cents,
            },
            0..25 => {
                let was = collected.placement.clone();
                let reference = self.random.chance(970).then(|| "sub_1".into()).or(Some("".into()));
                let ends = if self.random.chance(800) { ends } else { Ends::No };
                let page = self.random.chance(300).then(|| "cs_1".into());
                let is = Placement { page, reference, terms: Some(terms), change, ends, ..was.clone() };
                let was = if self.random.chance(900) { was } else { Placement::default() };
                CollectedCommand::Place { was: Box::new(was), is: Box::new(is) }
            }
            25..65 => {
                let other = self.random.chance(60);
                let terms = if other { Terms { price_cents: terms.price_cents + 1, ..terms } } else { terms };
                let seconds = *self.random.pick(&[0, 0, 0, 0, 3_600, -3_600, 31 * 86_400, 5 * 86_400]);
                let missing = collected.missing.first().filter(|_| self.random.chance(500));
                let missing = missing.and_then(|month| last.anchor.map(|anchor| anchor.plus_months(*month)));
                let start = missing.unwrap_or(due).plus_seconds(seconds);
                let cents =
                    terms.price_cents * *self.random.pick(&[100, 100, 100, 50, 0, -1, 101, 200]) / 100;
                CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents }
            }
            65..80 => {
                let due = last.upgrade.as_ref().map_or(100, |upgrade| upgrade.due_cents);
                let cents = *self.random.pick(&[due, due, due + 1, due / 2, due + 400, 0, -1]);
                let terms = if self.random.chance(900) { changes_to } else { terms };
                let number = last.changes + u32::from(self.random.chance(100));
                CollectedCommand::PayChange { number, payment, terms, cents, tax_cents }
            }
            80..86 => CollectedCommand::DropChange(
                last.changes - u32::from(self.random.chance(200)).min(last.changes),
            ),
            86..96 => CollectedCommand::Lapse,
            _ => CollectedCommand::End,
        };
        let known = self.random.chance(980);
        let subscription = if known { last.id } else { SubscriptionId(unknown_id()) };
        SubscriptionCommand::Collected { subscription, command }
    }

    /// A payment that fits nothing, at times one that was noted before.
    pub(super) fn unmatched(&mut self) -> Command {
        let currency = *self.random.pick(&["eur", "gbp", "EUR", "euro"]);
        Command::ReportUnmatched(UnmatchedPayment {
            payment: format!("pi_{}", self.random.below(12)).into(),
            cents: self.random.below(500) as i64 - 1,
            currency: currency.into(),
            workspace: self.random.chance(500).then(|| self.workspace()),
            why: "another currency".into(),
        })
    }

    /// What is lost of a payment, or money that goes back: of a top-up, or as `SetLost` of a grant.
    pub(super) fn lost(&mut self, pool: &Pool) -> Command {
        let paid = |top_up: &TopUp| top_up.grant.is_some();
        if !pool.refunds().is_empty() && self.random.chance(100) {
            return Command::Payment(self.refund_at_provider(pool));
        }
        let of_plans = pool.payments_of_subscriptions();
        if !of_plans.is_empty() && self.random.chance(250) {
            let payment = self.random.pick(&of_plans);
            let (payment, cents) = (payment.payment.clone(), payment.cents);
            return Command::Payment(PaymentCommand::Refund(self.loss(payment, cents)));
        }
        if pool.top_ups().iter().any(paid) && self.random.chance(700) {
            return Command::Payment(PaymentCommand::Refund(self.payment_refund(pool)));
        }
        self.lost_of_grant(pool)
    }

    /// Mostly about a top-up that was paid; at times about any, an unknown one or an odd amount.
    fn payment_refund(&mut self, pool: &Pool) -> PaymentRefundCommand {
        let (top_ups, refunds) = (pool.top_ups(), pool.refunds());
        let paid: Vec<&TopUp> = top_ups.iter().filter(|top_up| top_up.grant.is_some()).collect();
        let top_up = match self.random.below(20) {
            0 => TopUpId(unknown_id()),
            1 => self.random.pick(&top_ups).id,
            _ => self.random.pick(&paid).id,
        };
        let named = top_ups.iter().find(|named| named.id == top_up);
        let cents = named.map_or(0, |top_up| top_up.cents);
        let roll = self.random.below(100);
        if roll < 40 {
            let payment = named.and_then(|top_up| top_up.payment.clone());
            let payment = payment.unwrap_or_else(|| TopUp::manual_payment(top_up).into());
            return self.loss(payment, cents);
        }
        if roll < 65 || refunds.is_empty() {
            let asked = match self.random.below(8) {
                0 => Some(0),
                1 => Some(cents + 1),
                2 | 3 => Some(1 + self.random.below(cents.unsigned_abs() + 1) as i64),
                _ => None,
            };
            let by_hand = self.random.chance(400);
            return PaymentRefundCommand::Request { top_up, cents: asked, reason: "asked".into(), by_hand };
        }
        let refund = match self.random.below(20) {
            0 => PaymentRefundId(unknown_id()),
            _ => self.random.pick(&refunds).id,
        };
        match roll {
            65..76 => {
                let reference = format!("re_{}", self.random.below(8)).into();
                PaymentRefundCommand::Place { refund, reference }
            }
            76..84 => PaymentRefundCommand::Succeed(refund),
            _ => PaymentRefundCommand::Fail { refund, reason: "closed".into() },
        }
    }

    /// What is lost of a payment of `cents`, at times an odd number.
    fn loss(&mut self, payment: Box<str>, cents: i64) -> PaymentRefundCommand {
        let elsewhere_cents = match self.random.below(8) {
            0 => 0,
            1 => cents,
            2 => 2 * cents + 1,
            3 if self.random.chance(300) => -1,
            3 => i64::MAX,
            _ => self.random.below(cents.unsigned_abs() + 1) as i64,
        };
        let evidence = if self.random.chance(20) { "x".repeat(2_001) } else { "dp_1 lost".to_owned() };
        let disputed_cents = match self.random.below(8) {
            0 => elsewhere_cents.saturating_add(1),
            1..4 => 0,
            4..7 => elsewhere_cents,
            _ => elsewhere_cents / 2,
        };
        let evidence = evidence.into();
        PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence }
    }

    /// The provider took a payment refund over, or its call was lost: mostly the present one.
    fn refund_at_provider(&mut self, pool: &Pool) -> PaymentCommand {
        let refunds = pool.refunds();
        let refund = self.random.pick(&refunds);
        let unknown = self.random.chance(50);
        let id = if unknown { PaymentRefundId(unknown_id()) } else { refund.id };
        if self.random.chance(500) {
            let reference = format!("re_{}", self.random.below(8)).into();
            return PaymentCommand::Refund(PaymentRefundCommand::Place { refund: id, reference });
        }
        let lost = if self.random.chance(800) { refund.generation } else { refund.generation + 1 };
        PaymentCommand::Provider(ProviderCommand::RenewCall { call: ProviderCall::PaymentRefund(id), lost })
    }

    /// Mostly of a grant that was paid for, and mostly not more than was paid.
    fn lost_of_grant(&mut self, pool: &Pool) -> Command {
        let grants = pool.grants();
        let paid_for: Vec<_> = grants.iter().filter(|record| record.paid_cents > 0).collect();
        let grant = match paid_for.len() {
            0 => self.some_grant(pool),
            _ if self.random.chance(100) => self.some_grant(pool),
            count => paid_for[self.random.index(count)].grant.id,
        };
        let paid = grants.get(index_of(grant.0)).map_or(0, |record| record.paid_cents);
        let lost_cents = match self.random.below(10) {
            0 => -1,
            1 => paid + 1,
            2 | 3 => 0,
            4 | 5 => paid,
            _ => self.random.below(paid.unsigned_abs() + 1) as i64,
        };
        Command::SetLost { grant, lost_cents, evidence: "dp_1".into() }
    }
}
