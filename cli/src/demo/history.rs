//! The history of the demo: runs the planned charges with their outcomes, and the payments, limits
//! and thresholds between them, each at its own time in the past.
//!
//! Top-ups follow the balance: an admin looks at it each morning and buys credit when it is low.
//! Once, nobody looks for some days, so that the balance is used up and charges are refused. The
//! ledger decides everything; a refusal other than the expected ones ends the demo.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollkeeper_engine::{CommandResult, Engine, Output, Reads};
use tollkeeper_ledger::{
    Actor, ChargeCommand, ChargeId, ChargeRequest, Command, IdempotencyKey, MemberId, Micros, OperationId,
    PaymentCommand, Refusal, RefusedCharge, Submission, SubscriptionCommand, Timestamp, TopUpBounds, TopUpId,
    TopUpWay, WorkerId, WorkspaceId,
};

use super::command_batch::CommandBatch;
use super::failures::{failed, named, refused};
use super::people::{Keys, WORKSPACE};
use super::rules;
use super::state::State;
use super::traffic::{self, DAY, DAYS, DEADLINE_SECONDS, Fate, HOUR, MINUTE, MadeBy, PlannedCharge};
use crate::terminal::failure::{Exit, Failure};

/// The most commands that are run together.
const BATCH_MAX: usize = 1_000;

/// The day on which the plan is chosen.
const CHOSEN_ON: i64 = 18;

/// The day from which on nobody buys credit until a charge is refused.
const UNWATCHED_FROM: i64 = 68;

/// The day on which the rest of the balance is spent, if it is not spent by then.
const SPENT_ON: i64 = 78;

/// The day from which on, if the history ends without credit, an admin buys credit only after a
/// refusal, and for one day.
const RUNS_LOW_FROM: i64 = 84;

/// The day from which on nobody buys credit at all then.
const LEFT_EMPTY_FROM: i64 = 89;

/// The days of use that a top-up is to last.
const TOP_UP_DAYS: i64 = 8;

/// The days of use below which the next one is bought.
const LOW_DAYS: i64 = 3;

/// The days of use below which one is bought on the last day.
const LAST_DAYS: i64 = 10;

/// A cent in micro-units.
const CENT: i64 = 1_000;

/// What a top-up is a multiple of, in cents.
const TOP_UP_STEP: i64 = 500;

/// The bounds of a top-up by the default settings.
const TOP_UP_BOUNDS: TopUpBounds = TopUpBounds { min_cents: 500, max_cents: 1_000_000 };

/// Something that happens at a time.
#[derive(Debug)]
enum Event {
    /// The charge of this index is made.
    Charge(usize),
    /// What becomes of it is reported.
    End(usize),
    /// An admin looks at the balance.
    LookAtBalance,
    /// An admin opens a top-up.
    OpenTopUp,
    /// Its payment arrives.
    ConfirmTopUp(TopUpId),
    /// The plan is chosen, or one of its months has begun.
    BeginMonth,
    /// The payment for that month arrives.
    PayMonth,
    /// An admin sets thresholds and limits.
    SetRules,
    /// The rest of the balance is spent.
    SpendRest,
}

/// See the head of the file.
pub struct History {
    engine: Arc<dyn Engine>,
    workspace: WorkspaceId,
    keys: Keys,
    state: State,
    end: Timestamp,
    charges: Vec<PlannedCharge>,
    /// The id of each charge that was made.
    ids: Vec<Option<ChargeId>>,
    /// What is still to happen, by time and then in the order in which it was added.
    events: BTreeMap<(Timestamp, usize), Event>,
    added: usize,
    batch: CommandBatch,
    /// The planned charge of each command of the batch, if it makes one.
    of_batch: Vec<Option<usize>>,
    /// The first charge that was refused since the last top-up, and their number.
    refused: Option<RefusedCharge>,
    /// True once charges were refused.
    was_empty: bool,
    /// True from the opening of a top-up until its payment.
    is_buying: bool,
    /// The use of an average day.
    per_day: i64,
}

impl History {
    /// A history of `count` charges that ends at `end`, in a workspace without any.
    pub fn new(
        engine: Arc<dyn Engine>,
        keys: Keys,
        state: State,
        count: u64,
        end: Timestamp,
    ) -> Result<History, Failure> {
        let charges = traffic::plan(count, end);
        let per_day = charges.iter().map(PlannedCharge::amount).sum::<i64>() / DAYS;
        Ok(History {
            workspace: named(WorkspaceId::new(WORKSPACE))?,
            batch: CommandBatch::new(Arc::clone(&engine)),
            of_batch: Vec::new(),
            engine,
            keys,
            state,
            end,
            ids: vec![None; charges.len()],
            charges,
            events: BTreeMap::new(),
            added: 0,
            refused: None,
            was_empty: false,
            is_buying: false,
            per_day: per_day.max(1),
        })
    }

    /// Runs all of it.
    pub async fn run(mut self) -> Result<(), Failure> {
        self.plan_events();
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.happen(event, at).await?;
            if self.batch.len() >= BATCH_MAX {
                self.flush(at).await?;
            }
        }
        self.finish().await
    }

    fn plan_events(&mut self) {
        self.schedule(self.day(0, 2 * HOUR), Event::SetRules);
        let chosen = self.day(CHOSEN_ON, 3 * HOUR);
        self.schedule(chosen, Event::BeginMonth);
        for month in 1..3 {
            // A month begins at the hour at which the first one was paid.
            let begun = chosen.plus_months(month).millis() + 2 * HOUR;
            self.schedule(Timestamp::from_millis(begun), Event::BeginMonth);
        }
        for day in 0..DAYS {
            // At 8:10 UTC, and once more at the end.
            let morning = self.day(day, 0).millis().div_euclid(DAY) * DAY + 8 * HOUR + 10 * MINUTE;
            let morning = Timestamp::from_millis(morning);
            self.schedule(morning.max(self.day(0, 3 * HOUR)), Event::LookAtBalance);
        }
        self.schedule(self.day(DAYS, -5 * HOUR), Event::LookAtBalance);
        self.schedule(self.day(SPENT_ON, 0), Event::SpendRest);
        for index in 0..self.charges.len() {
            self.schedule(self.charges[index].at, Event::Charge(index));
        }
    }

    /// A time on a day of the history.
    fn day(&self, day: i64, millis: i64) -> Timestamp {
        Timestamp::from_millis(self.end.millis() - (DAYS - day) * DAY + millis)
    }

    /// What is later than the end does not happen.
    fn schedule(&mut self, at: Timestamp, event: Event) {
        if at < self.end {
            self.events.insert((at, self.added), event);
            self.added += 1;
        }
    }

    async fn happen(&mut self, event: Event, at: Timestamp) -> Result<(), Failure> {
        match event {
            Event::Charge(index) => self.charge(index, at),
            Event::End(index) => self.report_end(index, at).await,
            Event::LookAtBalance => self.look_at_balance(at).await,
            Event::OpenTopUp => self.open_top_up(at).await,
            Event::ConfirmTopUp(top_up) => {
                let confirm = Command::Payment(PaymentCommand::ConfirmTopUp(top_up));
                self.run_now(Actor::Platform, confirm, at).await?;
                (self.is_buying, self.refused) = (false, None);
                Ok(())
            }
            Event::BeginMonth => self.begin_month(at).await,
            Event::PayMonth => {
                let payment = format!("manual:invoice of {}", &at.rfc3339()[..10]).into();
                let confirm = SubscriptionCommand::Confirm { change: false, payment };
                self.add(Actor::Platform, of_subscription(confirm), at);
                Ok(())
            }
            Event::SetRules => {
                let per_day = Micros::new(self.per_day);
                self.add(member("ada")?, rules::thresholds(per_day), at);
                self.add(member("lin")?, rules::limits(per_day)?, at);
                Ok(())
            }
            Event::SpendRest if self.was_empty => Ok(()),
            Event::SpendRest => self.spend_rest(at).await,
        }
    }

    /// Makes a planned charge.
    fn charge(&mut self, index: usize, at: Timestamp) -> Result<(), Failure> {
        let PlannedCharge { kind, quantity, member, fate, ends_after, .. } = self.charges[index];
        let awaits = !matches!(fate, Fate::Succeeds | Fate::IsHalfRefunded);
        let stays = fate == Fate::StaysPending;
        let request = ChargeRequest {
            worker: Some(named(WorkerId::new(kind.worker))?),
            member: member.map(|id| named(MemberId::new(id))).transpose()?,
            await_outcome: awaits,
            timeout_seconds: awaits.then_some(if stays { 24 * 3_600 } else { DEADLINE_SECONDS }),
            reference: Some(format!("{}-{}", kind.reference, 10_000 + index).into()),
            ..ChargeRequest::new(named(OperationId::new(kind.operation))?, quantity)
        };
        let key = Some(named(IdempotencyKey::new(format!("run-{}", 10_000 + index)))?);
        let actor = self.actor_of(kind.made_by);
        self.submit(Some(index), key, actor, Command::Charge(request), at);
        if !stays && fate != Fate::Succeeds {
            self.schedule(Timestamp::from_millis(at.millis() + ends_after), Event::End(index));
        }
        Ok(())
    }

    /// Reports what became of a charge, unless it was refused.
    async fn report_end(&mut self, index: usize, at: Timestamp) -> Result<(), Failure> {
        if self.ids[index].is_none() {
            self.flush(at).await?;
        }
        let Some(id) = self.ids[index] else { return Ok(()) };
        let PlannedCharge { kind, quantity, fate, .. } = self.charges[index];
        let by_key = self.actor_of(kind.made_by);
        let (actor, command) = match fate {
            Fate::Succeeds | Fate::StaysPending => return Ok(()),
            Fate::IsPartlyUsed => {
                (by_key, ChargeCommand::Succeed { quantity: Some((quantity - quantity / 4).into()) })
            }
            Fate::FailsBySystem => {
                let detail = Some("The model did not answer in time.".into());
                (by_key, ChargeCommand::Fail { by_system: true, detail })
            }
            Fate::FailsByUser => {
                let detail = Some("The picture shows no product.".into());
                (by_key, ChargeCommand::Fail { by_system: false, detail })
            }
            Fate::TimesOut => (Actor::System, ChargeCommand::TimeOut),
            Fate::IsHalfRefunded => {
                let amount = Some(Micros::new(self.charges[index].amount() / 2));
                let reason = "The customer was not content with the result.".into();
                (Actor::Platform, ChargeCommand::Refund { amount, reason })
            }
        };
        self.add(actor, command.for_charge(id), at);
        Ok(())
    }

    /// Buys credit if the balance is low and somebody looks.
    async fn look_at_balance(&mut self, at: Timestamp) -> Result<(), Failure> {
        self.flush(at).await?;
        let is_last = at >= self.day(DAYS, -DAY);
        let days = if is_last { LAST_DAYS } else { LOW_DAYS };
        let is_unwatched = at >= self.day(UNWATCHED_FROM, 0) && !self.was_empty;
        let is_watched = !is_unwatched && !self.runs_low(at);
        if is_watched && self.available().await? < days * self.per_day {
            self.schedule_top_up(at);
        }
        Ok(())
    }

    /// True if the history ends without credit, and its last days have come.
    fn runs_low(&self, at: Timestamp) -> bool {
        self.state == State::ZeroBalance && at >= self.day(RUNS_LOW_FROM, 0)
    }

    fn schedule_top_up(&mut self, at: Timestamp) {
        let is_left_empty = self.runs_low(at) && at >= self.day(LEFT_EMPTY_FROM, 0);
        if !self.is_buying && !is_left_empty {
            self.is_buying = true;
            self.schedule(Timestamp::from_millis(at.millis() + 20 * MINUTE), Event::OpenTopUp);
        }
    }

    /// An admin opens a top-up; the platform confirms it after a while.
    async fn open_top_up(&mut self, at: Timestamp) -> Result<(), Failure> {
        let cents = self.top_up_cents(if self.runs_low(at) { 1 } else { TOP_UP_DAYS });
        let top_up = self.open(cents, "ada", at).await?;
        self.schedule(Timestamp::from_millis(at.millis() + 25 * MINUTE), Event::ConfirmTopUp(top_up));
        Ok(())
    }

    /// The price of the credit for some days.
    fn top_up_cents(&self, days: i64) -> i64 {
        let cents = days * self.per_day / CENT;
        let whole = (cents / TOP_UP_STEP + 1) * TOP_UP_STEP;
        whole.clamp(TOP_UP_BOUNDS.min_cents, TOP_UP_BOUNDS.max_cents)
    }

    async fn open(&mut self, cents: i64, admin: &str, at: Timestamp) -> Result<TopUpId, Failure> {
        let open = PaymentCommand::OpenTopUp { cents, way: TopUpWay::Manual, allowed: TOP_UP_BOUNDS };
        match self.run_now(member(admin)?, Command::Payment(open), at).await? {
            Output::TopUp(top_up) => Ok(top_up.id),
            other => Err(Failure::new(Exit::Unavailable, format!("no top-up was opened: {other:?}"))),
        }
    }

    /// Chooses the plan at first. Later, says that a month has begun.
    async fn begin_month(&mut self, at: Timestamp) -> Result<(), Failure> {
        if at < self.day(CHOSEN_ON + 1, 0) {
            let plan = SubscriptionCommand::StartOrChange { plan: rules::plan()?, collected_by: None };
            self.run_now(member("lin")?, of_subscription(plan), at).await?;
        } else {
            self.add(Actor::System, of_subscription(SubscriptionCommand::Tick { renews: false }), at);
        }
        self.schedule(Timestamp::from_millis(at.millis() + 40 * MINUTE), Event::PayMonth);
        Ok(())
    }

    /// Spends what is left on an analysis of the prices of many products, and asks for more.
    async fn spend_rest(&mut self, at: Timestamp) -> Result<(), Failure> {
        self.flush(at).await?;
        for command in rules::spending(self.available().await?)? {
            self.add(self.actor_of(MadeBy::BackOffice), command, at);
        }
        self.add(self.actor_of(MadeBy::Storefront), rules::one_more()?, at);
        self.flush(at).await
    }

    /// What stands at the end.
    async fn finish(mut self) -> Result<(), Failure> {
        let end = self.end;
        if self.state == State::ZeroBalance {
            self.spend_rest(end).await?;
        } else {
            self.flush(end).await?;
            // One more is open and waits for its payment.
            self.open(self.top_up_cents(TOP_UP_DAYS), "lin", end).await?;
        }
        for key in [self.keys.storefront, self.keys.back_office] {
            self.add(Actor::System, rules::key_use(key), end);
        }
        self.flush(end).await
    }

    fn actor_of(&self, made_by: MadeBy) -> Actor {
        Actor::ApiKey(match made_by {
            MadeBy::Storefront => self.keys.storefront,
            MadeBy::BackOffice => self.keys.back_office,
        })
    }

    async fn available(&self) -> Result<i64, Failure> {
        let balance = self.engine.balance(&self.workspace, None).await.map_err(|why| failed(&why))?;
        Ok(balance.map_or(0, |found| found.balance.available.get()))
    }

    /// Runs a command with all that waits, and returns what it made.
    async fn run_now(&mut self, actor: Actor, command: Command, at: Timestamp) -> Result<Output, Failure> {
        self.flush(at).await?;
        let submission = Submission { workspace: self.workspace.clone(), key: None, actor, command };
        let result = self.engine.run(submission, at).await.map_err(|why| failed(&why))?;
        result.map(|answer| answer.output).map_err(|refusal| refused(&refusal))
    }

    fn add(&mut self, actor: Actor, command: Command, at: Timestamp) {
        self.submit(None, None, actor, command, at);
    }

    fn submit(
        &mut self,
        charge: Option<usize>,
        key: Option<IdempotencyKey>,
        actor: Actor,
        command: Command,
        at: Timestamp,
    ) {
        let submission = Submission { workspace: self.workspace.clone(), key, actor, command };
        self.batch.add(submission, at);
        self.of_batch.push(charge);
    }

    /// Runs what waits. If charges were refused for lack of credit, that is noted, and credit is
    /// bought.
    async fn flush(&mut self, at: Timestamp) -> Result<(), Failure> {
        let of_batch = std::mem::take(&mut self.of_batch);
        let results = self.batch.run().await.map_err(|why| failed(&why))?;
        for (index, result) in of_batch.into_iter().zip(results) {
            self.take_result(index, result)?;
        }
        let Some(first) = self.refused.clone() else { return Ok(()) };
        self.was_empty = true;
        self.schedule_top_up(at);
        // The ledger notes it once in a cooldown.
        let (workspace, command) = (self.workspace.clone(), Command::NoteRefused(first));
        let note = Submission { workspace, key: None, actor: Actor::System, command };
        let noted = self.engine.run(note, at).await.map_err(|why| failed(&why))?;
        noted.map(drop).map_err(|refusal| refused(&refusal))
    }

    fn take_result(&mut self, index: Option<usize>, result: CommandResult) -> Result<(), Failure> {
        match result {
            Ok(answer) => {
                if let (Some(index), Output::Charge(charge, _)) = (index, answer.output) {
                    self.ids[index] = Some(charge.details.id);
                }
                Ok(())
            }
            Err(Refusal::InsufficientCredits { required, available, .. }) => {
                let name = index.map_or("virtual_try_on", |index| self.charges[index].kind.operation);
                let operation = named(OperationId::new(name))?;
                let first = RefusedCharge { operation, required, available, refusals: 0 };
                self.refused.get_or_insert(first).refusals += 1;
                Ok(())
            }
            Err(refusal) => Err(refused(&refusal)),
        }
    }
}

/// The actor for a member.
fn member(id: &str) -> Result<Actor, Failure> {
    Ok(Actor::Member(named(MemberId::new(id))?))
}

/// The command about the subscription.
fn of_subscription(command: SubscriptionCommand) -> Command {
    Command::Payment(PaymentCommand::Subscription(command))
}
