//! The commands of the demo that need no history: thresholds, limits, the plan, and how a balance
//! is spent.

use tollkeeper_ledger::{
    AlertLine, ApiKeyId, ChargeRequest, Command, GrantRequest, MICROS_PER_USD, MemberId, Micros, OperationId,
    Period, PlanId, Source, Subject, TeamCommand, WorkerId, bounds,
};

use super::failures::named;
use super::traffic::KINDS;
use crate::terminal::failure::Failure;

/// The promotional credit of a new workspace: 10 USD.
const WELCOME: Micros = Micros::new(1_000_000);

/// After an alert, a threshold waits for six hours, so that a day without credit has several.
const COOLDOWN_SECONDS: i64 = 6 * 3_600;

/// The least amount of a limit, so that a demo with few charges does not reach it.
const LIMIT_MIN: i64 = 2_500_000;

/// What a limit is a multiple of: 5 USD.
const LIMIT_STEP: i64 = 500_000;

/// The credit with which the workspace begins.
pub fn welcome() -> Command {
    let reason = Some("Welcome to Acme's new assistants".into());
    Command::Grant(GrantRequest { reason, ..GrantRequest::new(Source::Promotional, WELCOME) })
}

/// The low-balance thresholds: some days of use, and a runway.
pub fn thresholds(per_day: Micros) -> Command {
    let amount = |days: i64| {
        let dollars = per_day.get() * days / MICROS_PER_USD + 1;
        AlertLine::Amount(Micros::new(dollars * MICROS_PER_USD))
    };
    Command::SetAlerts {
        thresholds: vec![amount(1), amount(3), AlertLine::RunwayDays(7)],
        cooldown_seconds: COOLDOWN_SECONDS,
    }
}

/// Limits that are larger than the use that is expected.
///
/// The workspace has none of its own: the tour shows a charge that the balance refuses.
pub fn limits(per_day: Micros) -> Result<Command, Failure> {
    let amount = |days: i64| {
        let steps = (per_day.get() * days).max(LIMIT_MIN) / LIMIT_STEP;
        Micros::new(steps * LIMIT_STEP)
    };
    Ok(Command::SetLimits(vec![
        (Subject::Member(named(MemberId::new("sam"))?), Period::Day, amount(2)),
        (Subject::Worker(named(WorkerId::new("support-bot"))?), Period::Month, amount(5)),
        (Subject::Operation(named(OperationId::new("virtual_try_on"))?), Period::Month, amount(30)),
    ]))
}

/// The plan that the workspace has.
pub fn plan() -> Result<PlanId, Failure> {
    named(PlanId::new("starter"))
}

/// Says that a key was used.
pub fn key_use(key: ApiKeyId) -> Command {
    Command::Team(TeamCommand::RecordKeyUse(key))
}

/// One more virtual try-on.
pub fn one_more() -> Result<Command, Failure> {
    let request = ChargeRequest::new(named(OperationId::new("virtual_try_on"))?, 1);
    let (worker, member) = (named(WorkerId::new("studio-bot"))?, named(MemberId::new("noor"))?);
    Ok(Command::Charge(ChargeRequest { worker: Some(worker), member: Some(member), ..request }))
}

/// Charges that spend `available`, as far as the prices of the operations divide it.
pub fn spending(available: i64) -> Result<Vec<Command>, Failure> {
    let [support, .., pricing] = &KINDS;
    let mut commands = Vec::new();
    let mut left = available;
    for kind in [pricing, support] {
        while left >= kind.unit_price {
            let quantity = (left / kind.unit_price).min(bounds::QUANTITY_MAX);
            left -= quantity * kind.unit_price;
            let request = ChargeRequest::new(named(OperationId::new(kind.operation))?, quantity);
            let (worker, member) = (named(WorkerId::new(kind.worker))?, named(MemberId::new("lin"))?);
            let request = ChargeRequest { worker: Some(worker), member: Some(member), ..request };
            let reference = Some("all-products".into());
            commands.push(Command::Charge(ChargeRequest { reference, ..request }));
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::Quantity;

    use super::*;

    #[test]
    fn a_balance_is_spent_to_the_last_micro_unit_that_a_price_divides() {
        for (available, counts) in [
            (0, vec![]),
            (499, vec![]),
            (500, vec![1]),
            (43_500, vec![43, 1]),
            (2_000_000_000, vec![1_000_000; 2]),
        ] {
            let commands = spending(available).expect("the names are valid");
            let quantities: Vec<Quantity> = commands
                .into_iter()
                .map(|command| match command {
                    Command::Charge(request) => request.quantity,
                    other => panic!("a charge was expected, not {other:?}"),
                })
                .collect();
            let counts: Vec<Quantity> = counts.into_iter().map(Quantity::Units).collect();
            assert_eq!(quantities, counts, "{available}");
        }
    }
}
