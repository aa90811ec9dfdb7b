//! When a message that was not accepted is sent again, and when an endpoint is disabled.
//!
//! The pauses of webhooks are those of Standard Webhooks. Each pause is a fifth shorter or longer,
//! so that the messages of many subscribers do not come at once.

use tollkeeper_engine::SubscriberState;
use tollkeeper_ledger::Timestamp;

/// The pauses of a kind of messages.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The pauses after the first attempt, the second …, in seconds.
    pauses: &'static [i64],
    /// Whether a subscriber with many exceptions is not down as long as others are accepted: they
    /// go to different people.
    goes_on_beside: bool,
}

/// When messages to webhook endpoints are sent again.
pub const WEBHOOKS: Schedule = Schedule {
    pauses: &[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
    goes_on_beside: false,
};

/// When mails are sent again: for about a day, as is usual for mails.
pub const MAILS: Schedule = Schedule {
    pauses: &[60, 300, 900, 1_800, 3_600, 7_200, 14_400, 14_400, 21_600, 21_600],
    goes_on_beside: true,
};

/// How long an endpoint may accept nothing until it is disabled.
const DISABLED_AFTER_SECONDS: i64 = 5 * 86_400;

/// The longest pause that a receiver may ask for.
const RETRY_AFTER_MAX_SECONDS: i64 = 86_400;

/// The least pause after an answer that asks to slow down.
const SLOW_DOWN_SECONDS: i64 = 60;

/// What an answer says about the next attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The header `Retry-After`, in seconds from now.
    pub retry_after_seconds: Option<i64>,
    /// True for an answer that says that messages come too fast.
    pub slow_down: bool,
}

impl Schedule {
    /// When a message is sent again that was sent `attempts` times; `None` if no pause is left.
    /// `chance` is 0 to 999.
    #[must_use]
    pub fn next_at(&self, attempts: u32, now: Timestamp, asked: Asked, chance: u16) -> Option<Timestamp> {
        let index = usize::try_from(attempts).unwrap_or(usize::MAX).checked_sub(1)?;
        let pause = *self.pauses.get(index)?;
        Some(Timestamp::from_millis(now.millis() + varied(pause, asked, chance)))
    }

    /// True if nothing new is sent: too much has failed, and of mails none of the newest attempts
    /// was accepted.
    #[must_use]
    pub fn is_down(&self, state: &SubscriberState) -> bool {
        let accepts_some = || state.attempts.iter().any(|attempt| attempt.accepted);
        state.is_down() && !(self.goes_on_beside && accepts_some())
    }

    /// The same for a message of a subscriber that is down: the last pause again and again.
    #[must_use]
    pub fn next_while_down(&self, attempts: u32, now: Timestamp, asked: Asked, chance: u16) -> Timestamp {
        let last = u32::try_from(self.pauses.len()).unwrap_or(u32::MAX);
        self.next_at(attempts.clamp(1, last), now, asked, chance).unwrap_or(now)
    }
}

/// A pause in milliseconds: a fifth shorter or longer, and as long as the receiver asks.
fn varied(pause_seconds: i64, asked: Asked, chance: u16) -> i64 {
    let millis = pause_seconds * 1_000;
    let varied = millis * 4 / 5 + millis * 2 / 5 * i64::from(chance.min(999)) / 999;
    let asked_for = asked.retry_after_seconds.unwrap_or(0).clamp(0, RETRY_AFTER_MAX_SECONDS);
    let least = if asked.slow_down { SLOW_DOWN_SECONDS } else { 0 };
    varied.max(asked_for.max(least) * 1_000)
}

/// True if nothing was accepted for so long that the endpoint is disabled.
#[must_use]
pub fn is_failing(state: &SubscriberState, now: Timestamp) -> bool {
    state.failing_since.is_some_and(|since| since.plus_seconds(DISABLED_AFTER_SECONDS) <= now)
}

/// The header `Retry-After` as seconds from `now`, which is in seconds since 1970. It names seconds
/// or a date; a date that has passed asks for no pause.
#[must_use]
pub fn retry_after(header: &str, now: i64) -> Option<i64> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<i64>() {
        return Some(seconds).filter(|seconds| *seconds >= 0);
    }
    let date = httpdate::parse_http_date(header).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((i64::try_from(date.as_secs()).ok()? - now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn pause(attempts: u32, chance: u16) -> Option<i64> {
        WEBHOOKS.next_at(attempts, NOW, Asked::default(), chance).map(|at| at.millis() - NOW.millis())
    }

    #[test]
    fn pauses_grow_and_vary_by_a_fifth() {
        assert_eq!((pause(1, 0), pause(1, 999)), (Some(4_000), Some(6_000)));
        assert_eq!((pause(9, 0), pause(9, 999)), (Some(69_120_000), Some(103_680_000)));
        assert_eq!((pause(10, 0), pause(0, 0)), (None, None), "ten attempts are all");
        let middle: Vec<i64> = (1..=9).filter_map(|attempts| pause(attempts, 499)).collect();
        assert!(middle.is_sorted() && middle.len() == 9, "{middle:?}");
        let down = WEBHOOKS.next_while_down(40, NOW, Asked::default(), 0);
        assert_eq!(Some(down.millis() - NOW.millis()), pause(9, 0));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause() {
        let asked = |seconds, slow_down| Asked { retry_after_seconds: seconds, slow_down };
        let after = |asked| WEBHOOKS.next_at(1, NOW, asked, 0).map(|at| at.millis() - NOW.millis());
        assert_eq!(after(asked(Some(120), false)), Some(120_000));
        assert_eq!(after(asked(Some(1), false)), Some(4_000));
        assert_eq!(after(asked(None, true)), Some(60_000));
        assert_eq!(after(asked(Some(i64::MAX), false)), Some(86_400_000));
    }

    #[test]
    fn a_pause_is_named_in_seconds_or_by_a_date() {
        const AT: i64 = 1_795_446_245;
        for (header, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("-1", None),
            ("soon", None),
            ("Mon, 23 Nov 2026 15:06:05 GMT", Some(120)),
            ("Monday, 23-Nov-26 15:06:05 GMT", Some(120)),
            ("Mon Nov 23 15:06:05 2026", Some(120)),
            ("Mon, 23 Nov 2026 15:04:04 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Mon, 23 Nov 2026 15:06:05 +0100", None),
        ] {
            assert_eq!(retry_after(header, AT), seconds, "{header}");
        }
    }

    #[test]
    fn five_days_without_a_success_disable() {
        let mut state = SubscriberState::default();
        assert!(!is_failing(&state, NOW));
        state.failing_since = Some(NOW);
        assert!(!is_failing(&state, NOW.plus_seconds(5 * 86_400 - 1)));
        assert!(is_failing(&state, NOW.plus_seconds(5 * 86_400)));
    }
}
