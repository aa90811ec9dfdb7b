//! Decides each entry again by the rules of this program and reports what they would decide
//! otherwise: limits, suspension, debt, the order of draws, the price in force, the refund window,
//! a deadline that had not passed.
//!
//! A replay proves that numbers follow from entries. It does not ask whether the entries were
//! allowed. Here [`Follower`] asks: it takes the command that an entry implies, decides it on the
//! account before the entry, and compares all entries of the change. The prices and settings are
//! those that were in force at the entry. Days and months are those of this program's calendar.
//!
//! A finding is no disagreement. A rule may have changed since, and an entry stands as it was
//! decided. What an entry does not tell is taken from it: the request's own words and numbers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tollkeeper_ledger::{
    Account, Actor, Change, Charge, Decision, Entry, EntryBody, Implied, PeriodWindows, Platform, Recount,
    Timestamp, UsageKey, UsageSums, View, decide, implied,
};

use crate::{calendar, error, rollups};

/// Follows one journal from change to change.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// The entries that are to follow in the change under way.
    rest: VecDeque<EntryBody>,
    /// What the entries of the change under way have in common.
    cause: Option<(Actor, Timestamp, Timestamp)>,
    /// True after a finding: what follows in that change is not known.
    is_lost: bool,
}

/// What there is to do about an entry.
pub(crate) enum Asked {
    /// The rules would write it.
    Agrees,
    /// The rules would not write it, for this reason.
    Objection(String),
    /// It begins a change, which is to be decided again.
    Decide(Box<Question>),
}

/// A command to decide again.
pub(crate) struct Question {
    implied: Implied,
    recount: Option<Recount>,
    windows: PeriodWindows,
}

impl Question {
    /// The first hour whose usage the decision counts; `None` if it counts none.
    pub(crate) fn counts_from(&self) -> Option<i64> {
        let limits = &self.recount.as_ref()?.limits;
        limits.iter().map(|(_, period)| self.windows.of(*period).start.hour()).min()
    }
}

/// What a decision depends on.
pub(crate) struct Facts<'a> {
    /// The account before the entry.
    pub account: &'a Account,
    /// The charge that the entry is about, before it.
    pub charge: Option<&'a Charge>,
    /// The platform as it may have been at the entry. Servers have clocks of their own, so it may
    /// have been one of a few; the entry must agree with one of them.
    pub platforms: &'a [&'a Platform],
    /// The usage since the hour that the question names.
    pub usage: &'a [(UsageKey, UsageSums)],
}

impl Follower {
    /// Takes the next entry, before it is applied to the account.
    pub(crate) fn ask(&mut self, entry: &Entry, account: &Account, charge: Option<&Charge>) -> Asked {
        if let Some(expected) = self.rest.pop_front() {
            let cause = (entry.actor.clone(), entry.at, entry.decided_at);
            let expected = expected.with_words_of(&entry.body);
            if expected == entry.body && self.cause == Some(cause) && entry.key.is_none() {
                return Asked::Agrees;
            }
            self.lose();
            return Asked::Objection(format!("the rules would write `{}` here", expected.kind().as_str()));
        }
        if entry.body.only_follows() {
            if self.is_lost {
                return Asked::Agrees;
            }
            self.lose();
            return Asked::Objection("the rules would not write it here".to_owned());
        }
        if entry.body.is_retired(account.payments.as_deref()) {
            // What followed in its change was decided by the rules of its time.
            self.lose();
            return Asked::Agrees;
        }
        self.is_lost = false;
        let asked = caught(|| implied(entry, account, charge).map_err(|violation| violation.to_string()));
        let implied = match asked {
            Ok(implied) => implied,
            Err(why) => {
                self.lose();
                return Asked::Objection(why);
            }
        };
        let recount = implied.submission.command.recount(account);
        let present = account.present(implied.server_now);
        if present != entry.decided_at {
            self.lose();
            return Asked::Objection("it was decided at another time than it states".to_owned());
        }
        let windows = calendar::windows_for(account, recount.as_ref(), present);
        Asked::Decide(Box::new(Question { implied, recount, windows }))
    }

    /// Decides a change again; returns what the rules object to. May be asked again with other
    /// facts after an objection.
    pub(crate) fn answer(&mut self, question: &Question, entry: &Entry, facts: &Facts) -> Option<String> {
        let mut objection = None;
        for platform in facts.platforms {
            match decide_again(question, entry, facts, platform) {
                Ok(rest) => {
                    let cause = Some((entry.actor.clone(), entry.at, entry.decided_at));
                    *self = Follower { rest: rest.into(), cause, is_lost: false };
                    return None;
                }
                Err(why) => objection = objection.or(Some(why)),
            }
        }
        self.lose();
        objection
    }

    /// What is missing after the last entry of the journal.
    pub(crate) fn missing(&self) -> Option<String> {
        let expected = self.rest.front()?;
        Some(format!("the rules would write `{}` after it", expected.kind().as_str()))
    }

    fn lose(&mut self) {
        *self = Follower { is_lost: true, ..Follower::default() };
    }
}

/// Decides the command of a question; returns the entries that follow the first one, or what
/// differs.
fn decide_again(
    question: &Question,
    entry: &Entry,
    facts: &Facts,
    platform: &Platform,
) -> Result<Vec<EntryBody>, String> {
    let Question { implied, recount, windows } = question;
    let Implied { submission, server_now, fresh_id, texts_of_member, paid_cents } = implied;
    let used = recount.as_ref().map(|recount| rollups::used_by_limit(recount, windows, facts.usage));
    let view = View {
        account: Some(facts.account),
        platform,
        entry_under_key: None,
        charge: facts.charge,
        used_by_limit: used.as_deref().unwrap_or_default(),
        texts_of_member: *texts_of_member,
        paid_cents: *paid_cents,
        windows: *windows,
        fresh_id: *fresh_id,
    };
    let decided = caught(|| {
        decide(&view, submission.clone(), *server_now)
            .map_err(|refusal| format!("the rules would refuse it: {}", refusal.code()))
    })?;
    let Decision::Change(Change { first, rest, key }) = decided else {
        return Err("the rules would write nothing".to_owned());
    };
    if key != entry.key {
        return Err("the rules would write it under another key".to_owned());
    }
    if first != entry.body {
        return Err(format!("the rules would {}", instead(&entry.body, &first)));
    }
    Ok(rest)
}

/// Calls `decide`. What breaks an assertion is not decided at all: the entries were not made by
/// this program.
fn caught<T>(decide: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decide))
        .unwrap_or_else(|panic| Err(format!("the rules cannot decide it: {}", error::panic_message(&*panic))))
}

/// What the rules would do otherwise.
fn instead(stored: &EntryBody, decided: &EntryBody) -> String {
    if stored.kind() != decided.kind() {
        return format!("write `{}` instead", decided.kind().as_str());
    }
    let what = match (stored, decided) {
        (EntryBody::ChargeOpened(stored), EntryBody::ChargeOpened(decided)) => {
            if (stored.price_version, &stored.price) != (decided.price_version, &decided.price) {
                "price it by another version"
            } else if stored.draws != decided.draws {
                "draw from other grants"
            } else if stored.windows != decided.windows {
                "count it in another day or month"
            } else if stored.deadline != decided.deadline {
                "give it another deadline"
            } else {
                "write another content"
            }
        }
        (EntryBody::ChargeRefunded(stored), EntryBody::ChargeRefunded(decided)) => {
            if stored.amount != decided.amount {
                "refund another amount"
            } else if stored.returns != decided.returns {
                "return to other grants"
            } else if stored.windows != decided.windows {
                "count it in another day or month"
            } else {
                "write another content"
            }
        }
        (EntryBody::LimitsSet(_), EntryBody::LimitsSet(_)) => "count another use of a limit",
        _ => "write another content",
    };
    what.to_owned()
}
