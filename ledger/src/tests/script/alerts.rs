//! The lines of a script about alerts, and how their entries are printed.

use super::{Words, later, limit, micros};
use crate::tests::world::World;
use crate::{Alert, AlertLine, Command, Crossing, OperationId, RefusedCharge};

/// The command of a line that begins with `alerts`, `check`, `refused` or `reached`.
pub(super) fn command(world: &World, words: &Words) -> Command {
    match words.bare[0] {
        "alerts" => Command::SetAlerts {
            thresholds: words.bare[1..].iter().map(|word| line(word)).collect(),
            cooldown_seconds: words.number("cooldown").unwrap_or(86_400),
        },
        "check" => {
            let needs = |(name, amount): &(&str, &str)| (days(name).expect("days"), micros(amount));
            Command::CheckAlerts { lines: words.named.iter().map(needs).collect() }
        }
        "refused" => Command::NoteRefused(RefusedCharge {
            operation: OperationId::known(words.bare[1]),
            required: micros(words.bare[2]),
            available: micros(words.bare[3]),
            refusals: words.times().map_or(1, |times| times.total()).try_into().expect("a count"),
        }),
        _ => {
            let (subject, period, _) = limit(world, words.bare[1], "0");
            let resets_at = world.windows().of(period).end;
            Command::NoteLimit { subject, period, resets_at }
        }
    }
}

fn days(word: &str) -> Option<u16> {
    word.strip_suffix('d').and_then(|days| days.parse().ok())
}

fn line(word: &str) -> AlertLine {
    days(word).map_or_else(|| AlertLine::Amount(micros(word)), AlertLine::RunwayDays)
}

/// The thresholds of an entry.
pub(super) fn set(thresholds: &[AlertLine]) -> String {
    let line = |line: &AlertLine| match line {
        AlertLine::Amount(amount) => format!(" {amount}"),
        AlertLine::RunwayDays(days) => format!(" {days}d"),
    };
    format!("alerts{}", thresholds.iter().map(line).collect::<String>())
}

/// What an entry says.
pub(super) fn happened(world: &World, alert: &Alert) -> String {
    let crossed = |crossing: &Crossing| match crossing.runway_days {
        Some(days) => format!("{days}d={}", crossing.amount),
        None => crossing.amount.to_string(),
    };
    match alert {
        Alert::Low(crossing) => format!("low {}", crossed(crossing)),
        Alert::Recovered(crossing) => format!("recovered {}", crossed(crossing)),
        Alert::Refused(refused) => {
            let RefusedCharge { operation, refusals, .. } = &**refused;
            format!("refused {operation} lacks {} x{refusals}", refused.shortfall())
        }
        Alert::LimitReached(reached) => {
            format!("reached {} until {}", reached.amount, later(reached.resets_at, world.now))
        }
    }
}
