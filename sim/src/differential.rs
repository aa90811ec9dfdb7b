//! The differential test: an engine and the model run the same commands, and every answer is
//! compared.
//!
//! The first difference ends the run with a [`Difference`] that names the seed and the step, which
//! is enough to reproduce it. At the end the journal of every workspace is compared entry by entry
//! with the facts of the model, and its hashes are recomputed. Then all derived state is compared:
//! grants, charges, the team, counted limits, usage, past balances, due charges and payments.

mod alerts;
mod due_payments;
mod following;
mod recipients;
mod searches;
mod usage_reports;

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use tollkeeper_engine::{
    ChargeFilter, ChargeRecord, CommandResult, Engine, EntryRecord, Error, Listing, Page, Reads, ReportTime,
};
use tollkeeper_ledger::{
    Draw, EntryBody, GrantId, Hash, LedgerAccount, Limits, Micros, MoneyBack, Payments, Refusal, Team,
    Timestamp, WorkspaceId,
};

use crate::model::step::{Names, Step, index_of};
use crate::model::{Model, Pool, Session};
use crate::workload::Workload;
use tollkeeper_testkit::blocking::block_on;

/// The first point at which engine and model differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The seed of the run.
    pub seed: u64,
    /// The number of steps before it.
    pub step: usize,
    /// The step whose answer differs; `None` if stored state differs.
    pub request: Option<String>,
    /// What was compared.
    pub what: String,
    /// The value of the engine.
    pub engine: String,
    /// The value of the model.
    pub model: String,
    /// The error of the engine, if it gave no value.
    pub error: Option<Box<Error>>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { seed, step, request, what, engine, model, error: _ } = self;
        writeln!(f, "seed {seed}, step {step}: {what}")?;
        if let Some(request) = request {
            writeln!(f, "  request: {request}")?;
        }
        write!(f, "  engine:  {engine}\n  model:   {model}")
    }
}

/// A run of one engine beside the model.
#[derive(Clone, Debug)]
pub struct Differential {
    /// The model, after the steps so far.
    pub model: Model,
    /// The ids of the engine for the ids of the model.
    pub names: Names,
    /// How often each answer was given: the code of a refusal, `yes`, or `replay`.
    pub answers: BTreeMap<&'static str, u64>,
    seed: u64,
    steps: usize,
    now: Timestamp,
}

impl Differential {
    /// A run of this seed before its first step.
    #[must_use]
    pub fn new(seed: u64) -> Differential {
        Differential {
            model: Model::default(),
            names: Names::default(),
            answers: BTreeMap::new(),
            seed,
            steps: 0,
            now: Timestamp::ZERO,
        }
    }

    /// The number of answers compared so far.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The seed of the run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The clock of the last step.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The number of answers that were a first answer again.
    #[must_use]
    pub fn replays(&self) -> u64 {
        self.answers.get("replay").copied().unwrap_or_default()
    }

    /// Runs a step on the model and compares its answer with the engine's.
    ///
    /// # Errors
    /// The [`Difference`].
    pub fn compare(&mut self, step: &Step, ran: CommandResult) -> Result<(), Difference> {
        let expected = self.model.step(step);
        self.now = step.now;
        self.steps += 1;
        *self.answers.entry(code_of(&expected)).or_default() += 1;
        let ran = match ran {
            Ok(answer) => Ok(self.names.for_model(&step.submission.workspace, answer)),
            Err(refusal) => {
                let refusal = self.names.refusal_for_model(&step.submission.workspace, refusal);
                Err(without_explanation(refusal))
            }
        };
        if ran == expected {
            return Ok(());
        }
        let request = format!("{step:?}");
        Err(Difference { request: Some(request), ..self.difference("the answer", &ran, &expected) })
    }

    /// A difference at the current step.
    pub fn difference(
        &self,
        what: impl Into<String>,
        engine: &impl fmt::Debug,
        model: &impl fmt::Debug,
    ) -> Difference {
        Difference {
            seed: self.seed,
            step: self.steps,
            request: None,
            what: what.into(),
            engine: format!("{engine:?}"),
            model: format!("{model:?}"),
            error: None,
        }
    }

    /// Waits for a read of the engine; an error is a difference.
    fn read<T>(&self, what: &str, future: impl Future<Output = Result<T, Error>>) -> Result<T, Difference> {
        block_on(future).map_err(|error| self.engine_error(what, error))
    }

    /// Waits for a read of something that exists in the model; an error or `None` is a difference.
    fn existing<T>(
        &self,
        what: &str,
        future: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<T, Difference> {
        self.read(what, future)?.ok_or_else(|| self.difference(what, &"nothing", &"it exists"))
    }

    /// The difference of an engine that returned an error instead of an answer.
    pub fn engine_error(&self, what: &str, error: Error) -> Difference {
        Difference { error: Some(Box::new(error.clone())), ..self.difference(what, &error, &"an answer") }
    }

    /// Reads the ids of the engine from its journal, for answers that the caller never received.
    ///
    /// # Errors
    /// A [`Difference`] if the journal cannot be read.
    pub fn learn(&mut self, engine: &dyn Engine) -> Result<(), Difference> {
        let ids: Vec<WorkspaceId> = self.model.pools.keys().cloned().collect();
        for id in &ids {
            let what = format!("the entries of {id}");
            let entries = all(|page| self.existing(&what, engine.entries(id, page)))?;
            for record in entries.iter().rev() {
                self.names.learn(id, &record.entry.body);
            }
        }
        Ok(())
    }

    /// Compares two values.
    ///
    /// # Errors
    /// The [`Difference`].
    pub fn expect_equal<T: PartialEq + fmt::Debug>(
        &self,
        what: &str,
        engine: T,
        model: T,
    ) -> Result<(), Difference> {
        if engine == model { Ok(()) } else { Err(self.difference(what, &engine, &model)) }
    }

    /// Compares all stored state of the engine with the model.
    ///
    /// # Errors
    /// The first [`Difference`].
    pub fn compare_all(&mut self, engine: &dyn Engine) -> Result<(), Difference> {
        let ids: Vec<WorkspaceId> = self.model.pools.keys().cloned().collect();
        for id in &ids {
            let pool = self.model.pools[id].clone();
            let what = format!("the profile of {id}");
            self.expect_equal(&what, self.existing(&what, engine.workspace(id))?, pool.profile())?;
            self.compare_entries(engine, id, &pool)?;
            self.compare_following(engine, id, &pool)?;
            self.compare_grants(engine, id, &pool)?;
            self.compare_charges(engine, id, &pool)?;
            self.compare_team(engine, id, &pool)?;
            self.compare_payments(engine, id, &pool)?;
            self.compare_limits(engine, id, &pool)?;
            self.compare_alerts(engine, id, &pool)?;
            let what = format!("the usage of {id}");
            let mut usage = self.read(&what, engine.usage(id, i64::MIN..i64::MAX))?;
            usage.iter_mut().for_each(|(key, _)| self.names.usage_for_model(id, key));
            usage.sort_by(|a, b| a.0.cmp(&b.0));
            self.expect_equal(&what, usage, pool.usage().into_iter().collect())?;
            self.compare_usage_reports(engine, id, &pool)?;
        }
        self.compare_searches(engine)?;
        self.compare_reports(engine)?;
        self.compare_platform(engine)?;
        self.compare_due(engine, self.now)
    }

    /// Compares a report of the whole time, and one of the third of it in the middle.
    fn compare_reports(&self, engine: &dyn Engine) -> Result<(), Difference> {
        let lines = self.model.pools.values().flat_map(|pool| &pool.lines);
        let mut times: Vec<Timestamp> = lines.map(|line| line.at).collect();
        times.sort_unstable();
        let third = |thirds: usize| times.get(times.len() * thirds / 3).copied();
        let middle = third(1).zip(third(2)).map(|(from, to)| ReportTime { from, to });
        let whole = ReportTime { from: Timestamp::ZERO, to: Timestamp::from_millis(i64::MAX) };
        for time in middle.into_iter().chain([whole]) {
            let what = format!("the report of {time:?}");
            let report = self.read(&what, engine.report(time))?;
            self.expect_equal(&what, *report, self.model.report(time))?;
        }
        Ok(())
    }

    fn compare_platform(&self, engine: &dyn Engine) -> Result<(), Difference> {
        let platform = engine.platform();
        self.expect_equal("the price book", platform.price_book.versions(), &self.model.prices)?;
        self.expect_equal("the plans", platform.plans.versions(), &self.model.plans)?;
        self.expect_equal(
            "the number of platform keys",
            platform.key_hashes.len(),
            self.model.platform_keys,
        )?;
        let refund_window_days = platform.settings.refund_window_days;
        self.expect_equal("the refund window", refund_window_days, self.model.refund_window_days)?;
        let unmatched: Vec<_> = platform.unmatched.iter().map(|noted| &noted.payment).collect();
        self.expect_equal(
            "the unmatched payments",
            unmatched,
            self.model.unmatched.iter().map(|(_, payment)| payment).collect(),
        )?;
        let operators: Vec<Session> = platform.operators.list().iter().map(Session::from).collect();
        self.expect_equal("the sessions of operators", &operators[..], self.model.operators())?;
        self.expect_equal("the epoch", platform.epoch, self.model.epoch)
    }

    fn compare_due(&mut self, engine: &dyn Engine, now: Timestamp) -> Result<(), Difference> {
        let due = self.read("the due charges", engine.due(now, usize::MAX))?.into_iter();
        let names = &mut self.names;
        let mut due: Vec<(WorkspaceId, usize)> =
            due.map(|(id, charge)| (id.clone(), index_of(names.charge_for_model(&id, charge).0))).collect();
        due.sort();
        let mut expected = self.model.due(now);
        expected.sort();
        self.expect_equal("the due charges", due, expected)?;
        self.compare_due_payments(engine, now)
    }

    /// Compares each entry: number, kind, time, link, hash, balance, legs and draws.
    fn compare_entries(&self, engine: &dyn Engine, id: &WorkspaceId, pool: &Pool) -> Result<(), Difference> {
        let what = format!("the entries of {id}");
        let mut entries = all(|page| self.existing(&what, engine.entries(id, page)))?;
        entries.reverse();
        self.expect_equal(&what, entries.len(), pool.lines.len())?;
        let mut previous: Hash = [0; 32];
        let mut held = Micros::ZERO;
        for (place, EntryRecord { entry, hash }) in entries.iter().enumerate() {
            let line = &pool.lines[place];
            let what = |what: &str| format!("{what} of entry {} of {id}", place + 1);
            self.expect_equal(&what("the number"), entry.n, place as u64 + 1)?;
            self.expect_equal(&what("the kind"), entry.body.kind(), line.fact.kind())?;
            self.expect_equal(&what("the time"), entry.at, line.at)?;
            self.expect_equal(&what("the time of the decision"), entry.decided_at, line.decided_at)?;
            self.expect_equal(&what("the link"), entry.previous, previous)?;
            previous = hash_of(entry);
            self.expect_equal(&what("the hash"), *hash, previous)?;
            let balance = pool.after(place + 1).balance();
            self.expect_equal(&what("the balance"), entry.balance, balance)?;
            held += into_available(&entry.body);
            self.expect_equal(&what("the sum of the legs up to it"), held, balance.available)?;
            self.expect_equal(&what("the draws"), net_draws(entry), sorted(line.fact.flows(entry.n)))?;
        }
        for place in (0..pool.lines.len()).step_by(5) {
            let at = pool.lines[place].at;
            let last =
                pool.lines.iter().rposition(|line| line.at <= at).expect("this entry itself is that early");
            let what = format!("the balance of {id} at {at:?}");
            let past = self.existing(&what, engine.balance(id, Some(at)))?;
            self.expect_equal(&what, past.balance, pool.after(last + 1).balance())?;
        }
        let what = format!("the balance of {id}");
        self.expect_equal(&what, self.existing(&what, engine.balance(id, None))?.balance, pool.balance())
    }

    fn compare_grants(
        &mut self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let what = format!("the grants of {id}");
        let mut grants = all(|page| self.existing(&what, engine.grants(id, page)))?;
        grants.reverse();
        for record in &mut grants {
            self.names.grant_for_model(id, record);
        }
        self.expect_equal(&what, grants, pool.grants())
    }

    fn compare_charges(
        &mut self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let what = format!("the charges of {id}");
        let none = ChargeFilter::default;
        let mut charges = all(|page| self.existing(&what, engine.charges(id, none(), page)))?;
        charges.reverse();
        for charge in &mut charges {
            self.names.details_for_model(id, &mut charge.details);
        }
        let expected = pool.charges();
        self.expect_equal(&what, &charges, &expected)?;
        for place in (0..expected.len()).step_by(3) {
            let charge = self.names.charge(id, place).expect("the charges were compared above");
            let record = self.existing(&what, engine.charge(id, charge))?;
            self.compare_charge(id, pool, place, record)?;
        }
        Ok(())
    }

    /// Compares members, API keys, and the links and sessions that have not expired.
    fn compare_team(&mut self, engine: &dyn Engine, id: &WorkspaceId, pool: &Pool) -> Result<(), Difference> {
        let what = |what: &str| format!("the {what} of {id}");
        let now = self.now;
        let team = self.existing(&what("team"), engine.team(id))?;
        self.compare_recipients(engine, id, (&team, pool))?;
        let Team { members, mut keys, mut links, mut sessions, recipients: _ } = team.as_ref().clone();
        for session in links.iter_mut().chain(&mut sessions) {
            self.names.session_for_model(id, session);
        }
        links.retain(|link| now < link.expires_at);
        sessions.retain(|session| now < session.expires_at);
        keys.iter_mut().for_each(|key| self.names.api_key_for_model(id, key));
        let texts = members
            .iter()
            .flat_map(|member| [member.email, member.name].map(|digest| (member.id.clone(), digest)));
        let texts: Vec<_> = texts.collect();
        let expected: Vec<_> = texts.iter().map(|(member, digest)| pool.text(member, digest)).collect();
        self.expect_equal(&what("members"), members, pool.members())?;
        let stored = block_on(engine.personal_texts(id, texts));
        let stored = stored.map_err(|error| self.engine_error(&what("texts"), error))?;
        self.expect_equal(&what("texts"), stored, expected)?;
        self.expect_equal(&what("API keys"), keys, pool.keys())?;
        self.expect_equal(&what("links"), links, pool.links(now))?;
        self.expect_equal(&what("sessions"), sessions, pool.sessions(now))
    }

    /// Compares the customer, the card, the rule, the top-ups, each with its grant and its payment,
    /// and the subscription.
    fn compare_payments(
        &mut self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let what = format!("the top-ups of {id}");
        let stored = self.existing(&what, engine.payments(id))?;
        let Payments { top_ups, customer, card, auto_top_up, back, subscription, of_subscriptions } =
            stored.as_ref().clone();
        let cards = format!("the card and its rule of {id}");
        let expected = (pool.customer(), pool.card(), pool.rule());
        self.expect_equal(&cards, (customer, card, auto_top_up), expected)?;
        let mut top_ups = top_ups;
        for top_up in &mut top_ups {
            self.names.top_up_for_model(id, top_up);
        }
        self.expect_equal(&what, top_ups, pool.top_ups())?;
        let (mut subscription, expected) = (subscription.map(|boxed| *boxed), pool.subscription());
        if let Some(subscription) = &mut subscription {
            subscription.id = self.names.subscription_for_model(id, subscription.id);
            subscription.month_cents = 0;
        }
        self.expect_equal(&format!("the subscription of {id}"), subscription, expected)?;
        let mut paid = of_subscriptions;
        for payment in &mut paid {
            self.names.plan_payment_for_model(id, payment);
        }
        let what = format!("the payments of subscriptions of {id}");
        self.expect_equal(&what, paid, pool.payments_of_subscriptions())?;
        self.compare_money_back(id, back, pool)
    }

    /// Compares what went back of payments, and what is lost of them.
    fn compare_money_back(
        &mut self,
        id: &WorkspaceId,
        back: MoneyBack,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let MoneyBack { mut losses, mut refunds } = back;
        refunds.iter_mut().for_each(|refund| self.names.refund_for_model(id, refund));
        losses.iter_mut().for_each(|loss| self.names.loss_for_model(id, loss));
        self.expect_equal(&format!("the payment refunds of {id}"), refunds, pool.refunds())?;
        let losses: BTreeMap<_, _> =
            losses.into_iter().map(|loss| (loss.payment, loss.elsewhere_cents)).collect();
        self.expect_equal(&format!("the losses of {id}"), losses, pool.lost_elsewhere())
    }

    /// Compares the limits with what they have counted in the current day or month.
    fn compare_limits(
        &mut self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        pool: &Pool,
    ) -> Result<(), Difference> {
        let what = format!("the limits of {id}");
        let now = pool.present(self.now);
        let (Limits(mut limits), windows) = self.existing(&what, engine.limits(id, self.now))?;
        self.expect_equal(&what, windows, pool.windows(now))?;
        for limit in &mut limits {
            limit.used = limit.used_in(&windows);
            limit.since = windows.of(limit.period).start;
        }
        self.names.limits_for_model(id, &mut limits);
        self.expect_equal(&what, limits, pool.limits_at(now))
    }

    fn compare_charge(
        &mut self,
        id: &WorkspaceId,
        pool: &Pool,
        place: usize,
        record: ChargeRecord,
    ) -> Result<(), Difference> {
        let what = |what: &str| format!("{what} of charge {place} of {id}");
        let charge = &pool.charges()[place];
        self.expect_equal(&what("the state"), record.charge.state, charge.state)?;
        let number = |names: &mut Names, grant: GrantId| index_of(names.grant_id_for_model(id, grant).0);
        let draws: Vec<(u64, Micros)> = record
            .draws
            .iter()
            .map(|(grant, amount)| (pool.grants()[number(&mut self.names, *grant)].grant.n, *amount))
            .collect();
        let drawn = |draw: &Draw| (draw.grant, draw.amount);
        self.expect_equal(&what("the draws"), draws, charge.details.draws.iter().map(drawn).collect())?;
        let refunded: Micros = record.refunds.iter().map(|refund| refund.refund.amount).sum();
        self.expect_equal(&what("the sum of the refunds"), refunded, charge.state.refunded)?;
        self.expect_equal(&what("what was used of meters"), record.used, pool.used_of_meters(place))?;
        self.expect_equal(&what("the balance in the record"), record.balance, pool.balance())
    }
}

/// Runs `steps` steps of a seed on an engine and the model, in batches of up to `batch` commands.
///
/// # Errors
/// The first [`Difference`].
pub fn run(engine: &dyn Engine, seed: u64, steps: usize, batch: usize) -> Result<Differential, Difference> {
    let mut diff = Differential::new(seed);
    let mut workload = Workload::new(seed);
    while diff.steps() < steps {
        let batch = next_batch(&mut diff, &mut workload, batch);
        let now = batch[0].0.now;
        let submissions = batch.iter().map(|(_, submission)| submission.clone()).collect();
        let answers = block_on(engine.run_batch(submissions, now)).expect("a healthy engine runs a batch");
        for ((step, _), ran) in batch.iter().zip(answers) {
            diff.compare(step, ran)?;
        }
    }
    diff.compare_all(engine)?;
    Ok(diff)
}

/// The next steps, all at the time of the first, each with its submission in the ids of the engine.
///
/// All are drawn before any of them is answered, so none refers to what another one creates.
pub fn next_batch(
    diff: &mut Differential,
    workload: &mut Workload,
    batch_max: usize,
) -> Vec<(Step, tollkeeper_ledger::Submission)> {
    let mut batch: Vec<(Step, tollkeeper_ledger::Submission)> = Vec::with_capacity(batch_max);
    for _ in 0..batch_max {
        let mut step = workload.next(&diff.model);
        if let Some((first, _)) = batch.first() {
            step.now = first.now;
        }
        if let Some(submission) = diff.names.for_engine(&step.submission) {
            batch.push((step, submission));
        }
    }
    batch
}

/// All rows of a list, read in pages of 37 rows, so that page limits fall at odd places.
fn all<T>(mut page: impl FnMut(Page) -> Result<Listing<T>, Difference>) -> Result<Vec<T>, Difference> {
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let listing = page(Page { limit: 37, cursor })?;
        rows.extend(listing.data);
        cursor = listing.next;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

/// The SHA-256 of an entry's canonical bytes.
#[must_use]
pub fn hash_of(entry: &tollkeeper_ledger::Entry) -> Hash {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    Sha256::digest(&bytes).into()
}

/// The change of the available balance by the legs of an entry.
fn into_available(body: &EntryBody) -> Micros {
    body.legs().map_or(Micros::ZERO, |legs| match (legs.from, legs.to) {
        (LedgerAccount::Available, _) => Micros::ZERO - legs.amount,
        (_, LedgerAccount::Available) => legs.amount,
        _ => Micros::ZERO,
    })
}

/// The change of each grant by an entry, negative for a draw, in the order of the grants.
fn net_draws(entry: &tollkeeper_ledger::Entry) -> Vec<Draw> {
    let inward = match &entry.body {
        EntryBody::Granted { grant, .. } => return vec![Draw { grant: grant.n, amount: grant.amount }],
        EntryBody::ClawBackRestored { .. }
        | EntryBody::ClawBackReduced { .. }
        | EntryBody::ChargeRefunded(_) => true,
        EntryBody::ClawBackExchanged { draw, returns, .. } => {
            let taken = Draw { amount: Micros::ZERO - draw.amount, ..*draw };
            return sorted(returns.iter().copied().chain([taken]).collect());
        }
        _ => false,
    };
    let signed = |draw: &Draw| {
        let amount = if inward { draw.amount } else { Micros::ZERO - draw.amount };
        Draw { grant: draw.grant, amount }
    };
    sorted(entry.body.draws().map(signed).collect())
}

/// The sum for each grant, in the order of the grants, without zeros.
fn sorted(draws: Vec<Draw>) -> Vec<Draw> {
    let mut sums = BTreeMap::<u64, Micros>::new();
    for draw in draws {
        *sums.entry(draw.grant).or_default() += draw.amount;
    }
    let lines = sums.into_iter().filter(|(_, amount)| *amount != Micros::ZERO);
    lines.map(|(grant, amount)| Draw { grant, amount }).collect()
}

fn code_of(ran: &CommandResult) -> &'static str {
    match ran {
        Ok(answer) if answer.replayed => "replay",
        Ok(_) => "yes",
        Err(refusal) => refusal.code(),
    }
}

/// The refusal without its explanation, which the model does not have.
fn without_explanation(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::InvalidField { field, why: _ } => Refusal::InvalidField { field, why: "" },
        Refusal::Forbidden { why: _ } => Refusal::Forbidden { why: "" },
        Refusal::SubscriptionExists { why: _ } => Refusal::SubscriptionExists { why: "" },
        other => other,
    }
}
