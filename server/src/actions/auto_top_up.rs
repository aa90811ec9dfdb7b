//! The rule of automatic top-ups: setting it, stopping it, and whether it buys now.

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    AutoTopUp, AutoTopUpCommand, AutoTopUpState, Command, Micros, PaymentCommand, StopReason, Timestamp,
    WorkspaceId,
};

use crate::http::call::{Call, existing};
use crate::http::problem::Problem;

/// When to buy credit, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Credit is bought when less than this is available.
    pub threshold: Micros,
    /// What is bought at once, in cents.
    pub cents: i64,
    /// The most that is bought in a month, in cents.
    pub monthly_cap_cents: i64,
}

/// Whether the rule buys now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buys {
    /// It does.
    Active,
    /// Not before a time.
    Paused(Timestamp),
    /// Not before it is set again.
    Stopped(StopReason),
}

/// The rule as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The rule.
    pub rule: Rule,
    /// Whether it buys.
    pub buys: Buys,
    /// What was bought this month, or waits for its payment, in cents.
    pub bought_this_month_cents: i64,
}

/// Sets the rule. It buys at once if the balance is low already.
///
/// # Errors
/// No card is saved, or a value is out of its bounds.
pub async fn set(call: &Call, workspace: &WorkspaceId, rule: Rule) -> Result<(), Problem> {
    let Rule { threshold, cents, monthly_cap_cents } = rule;
    let allowed = call.app.payments.top_up_bounds;
    let set = AutoTopUpCommand::Set { threshold, cents, monthly_cap_cents, allowed };
    for command in [set, AutoTopUpCommand::OpenIfLow] {
        call.run(workspace, None, Command::Payment(PaymentCommand::AutoTopUp(command))).await?;
    }
    Ok(())
}

/// Stops automatic top-ups. If none are set, nothing changes.
///
/// # Errors
/// There is no such workspace.
pub async fn stop(call: &Call, workspace: &WorkspaceId) -> Result<(), Problem> {
    let stop = AutoTopUpCommand::Stop { why: StopReason::Requested };
    call.run(workspace, None, Command::Payment(PaymentCommand::AutoTopUp(stop))).await?;
    Ok(())
}

/// The rule as it is now; `None` if it was never set.
///
/// # Errors
/// There is no such workspace, or the engine cannot read.
pub async fn find(call: &Call, workspace: &WorkspaceId) -> Result<Option<Known>, Problem> {
    let engine = call.app.engine();
    let payments = existing(workspace, engine.payments(workspace).await?)?;
    let (_, windows) = existing(workspace, engine.limits(workspace, call.now).await?)?;
    let Some(rule) = &payments.auto_top_up else { return Ok(None) };
    let AutoTopUp { threshold, cents, monthly_cap_cents, state, soft_declines: _ } = *rule;
    let buys = match state {
        AutoTopUpState::Stopped { why } => Buys::Stopped(why),
        AutoTopUpState::Paused { until } if !rule.is_ready(call.now) => Buys::Paused(until),
        // A pause that is over ends with the next top-up.
        AutoTopUpState::Paused { .. } | AutoTopUpState::Active => Buys::Active,
    };
    let rule = Rule { threshold, cents, monthly_cap_cents };
    let bought_this_month_cents = payments.automatic_cents(windows.month);
    Ok(Some(Known { rule, buys, bought_this_month_cents }))
}
