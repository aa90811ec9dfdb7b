//! The rules of saved cards and automatic top-ups: who is the customer, which card pays, when
//! credit is bought by itself, and what a failure leads to.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    AutoTopUp, AutoTopUpCommand, AutoTopUpState, Card, CardCommand, Customer, Micros, Refusal, StopReason,
    Timestamp, TopUpFailure, TopUpId, TopUpStatus, TopUpWay,
};

use super::charges::invalid;
use super::facts::{Fact, Pool};

const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

impl Pool {
    /// The customer at the payment provider.
    #[must_use]
    pub fn customer(&self) -> Option<Customer> {
        self.lines.iter().rev().find_map(|line| match &line.fact {
            Fact::CustomerLinked(customer) => Some(customer.clone()),
            _ => None,
        })
    }

    /// The saved card.
    #[must_use]
    pub fn card(&self) -> Option<Card> {
        let last = self.lines.iter().rev().find_map(|line| match &line.fact {
            Fact::CardSaved(card) => Some(Some(card.clone())),
            Fact::CardRemoved | Fact::CustomerLinked(_) => Some(None),
            _ => None,
        });
        last.flatten()
    }

    /// The rule of automatic top-ups, with its state.
    #[must_use]
    pub fn rule(&self) -> Option<AutoTopUp> {
        let mut rule: Option<AutoTopUp> = None;
        let ways: Vec<TopUpWay> = self.top_ups().iter().map(|top_up| top_up.way).collect();
        // The last automatic top-up, and how and when it failed.
        let (mut opened, mut last, mut last_failed) = (0, None, None);
        for line in &self.lines {
            match &line.fact {
                Fact::TopUpOpened { way, .. } => {
                    if *way == TopUpWay::Automatic {
                        (last, last_failed) = (Some(opened), None);
                    }
                    opened += 1;
                }
                Fact::TopUpFailed { top_up, failure } if last == Some(*top_up) => {
                    last_failed = Some((*failure, line.decided_at));
                }
                Fact::TopUpPaid { top_up, .. } if last == Some(*top_up) => last_failed = None,
                _ => {}
            }
            if let Fact::RuleSet { threshold, cents, monthly_cap_cents } = line.fact {
                let goes_on = |rule: &AutoTopUp| {
                    runs(rule) || rule.state == AutoTopUpState::Stopped { why: StopReason::Requested }
                };
                let kept = rule.filter(goes_on);
                let state = match kept.as_ref() {
                    Some(rule) if runs(rule) => rule.state,
                    Some(rule) => paused_by(last_failed, rule.soft_declines),
                    None => AutoTopUpState::Active,
                };
                let soft_declines = kept.map_or(0, |rule| rule.soft_declines);
                rule = Some(AutoTopUp { threshold, cents, monthly_cap_cents, state, soft_declines });
                continue;
            }
            let Some(rule) = rule.as_mut().filter(|rule| runs(rule)) else { continue };
            match &line.fact {
                Fact::RulePaused(until) => rule.state = AutoTopUpState::Paused { until: *until },
                Fact::RuleStopped(why) => rule.state = AutoTopUpState::Stopped { why: *why },
                Fact::TopUpOpened { way: TopUpWay::Automatic, .. } => rule.state = AutoTopUpState::Active,
                Fact::TopUpPaid { top_up, .. } if ways[*top_up] == TopUpWay::Automatic => {
                    rule.state = AutoTopUpState::Active;
                    rule.soft_declines = 0;
                }
                Fact::TopUpFailed { top_up, failure: TopUpFailure::SoftDecline }
                    if ways[*top_up] == TopUpWay::Automatic =>
                {
                    rule.soft_declines = 3.min(rule.soft_declines + 1);
                }
                _ => {}
            }
        }
        rule
    }

    pub(super) fn change_card(&mut self, command: &CardCommand, now: Timestamp) -> Result<Output, Refusal> {
        match command {
            CardCommand::LinkCustomer { customer, replaces } => {
                let present = self.customer();
                let seen = present.as_ref().map(|present| present.id.clone());
                if customer.id.is_empty() {
                    return Err(invalid("customer"));
                }
                if present.as_ref() != Some(customer) && seen == *replaces {
                    let had_card = self.card().is_some();
                    self.add(now, Fact::CustomerLinked(customer.clone()));
                    if had_card {
                        self.stop_rule(StopReason::PaymentMethodRemoved, now);
                    }
                }
            }
            CardCommand::SaveCard(card) => {
                if self.customer().is_none() || card.last4.len() != 4 {
                    return Err(invalid("card"));
                }
                if self.card().as_ref() != Some(card) {
                    self.add(now, Fact::CardSaved(card.clone()));
                }
            }
            CardCommand::RemoveCard { id } => {
                let saved = self.card().map(|card| card.id);
                if saved.is_some() && (id.is_none() || *id == saved) {
                    self.add(now, Fact::CardRemoved);
                    self.stop_rule(StopReason::PaymentMethodRemoved, now);
                }
            }
        }
        Ok(Output::Done)
    }

    pub(super) fn change_rule(
        &mut self,
        command: &AutoTopUpCommand,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        match *command {
            AutoTopUpCommand::Set { threshold, cents, monthly_cap_cents, allowed } => {
                if self.card().is_none() {
                    return Err(Refusal::PaymentMethodRequired);
                }
                if !(1..100_000_000).contains(&cents)
                    || cents < allowed.min_cents
                    || cents > allowed.max_cents
                {
                    return Err(Refusal::TopUpOutOfBounds { allowed });
                }
                if threshold <= Micros::ZERO {
                    return Err(invalid("threshold"));
                }
                if threshold > Micros::new(cents * 1_000) {
                    return Err(invalid("amount_usd"));
                }
                if monthly_cap_cents < cents || monthly_cap_cents > 9_007_199_254_740 {
                    return Err(invalid("monthly_cap_usd"));
                }
                let is_set = self.rule().filter(runs).is_some_and(|rule| {
                    (rule.threshold, rule.cents, rule.monthly_cap_cents)
                        == (threshold, cents, monthly_cap_cents)
                });
                if !is_set {
                    self.add(now, Fact::RuleSet { threshold, cents, monthly_cap_cents });
                }
            }
            AutoTopUpCommand::Stop { why } => self.stop_rule(why, now),
            AutoTopUpCommand::OpenIfLow => {
                let has_room = self.has_room_to_buy();
                if has_room && self.buy_if_low(None, now) {
                    let opened = self.top_ups().pop().expect("it was just opened");
                    return Ok(Output::TopUp(Box::new(opened)));
                }
            }
        }
        Ok(Output::Done)
    }

    pub(super) fn fail_top_up(
        &mut self,
        id: TopUpId,
        failure: TopUpFailure,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let top_ups = self.top_ups();
        let index = top_ups.iter().position(|top_up| top_up.id == id).ok_or(Refusal::TopUpNotFound)?;
        if top_ups[index].status != TopUpStatus::Pending {
            return Ok(Output::Done);
        }
        let declines = self.rule().map_or(0, |rule| rule.soft_declines);
        self.add(now, Fact::TopUpFailed { top_up: index, failure });
        if top_ups[index].way != TopUpWay::Automatic || !self.rule().as_ref().is_some_and(runs) {
            return Ok(Output::Done);
        }
        let pause = match failure {
            TopUpFailure::HardDecline => Err(StopReason::Declined),
            TopUpFailure::AuthenticationNeeded => Err(StopReason::AuthenticationNeeded),
            TopUpFailure::SoftDecline if declines >= 2 => Err(StopReason::Declined),
            TopUpFailure::SoftDecline if declines == 0 => Ok(HOUR_SECONDS),
            _ => Ok(DAY_SECONDS),
        };
        match pause {
            Ok(seconds) => self.add(now, Fact::RulePaused(now.plus_seconds(seconds))),
            Err(why) => self.stop_rule(why, now),
        }
        Ok(Output::Done)
    }

    fn stop_rule(&mut self, why: StopReason, now: Timestamp) {
        if self.rule().as_ref().is_some_and(runs) {
            self.add(now, Fact::RuleStopped(why));
        }
    }

    /// True if the credit of one more automatic top-up fits the balance. A charge asks before it
    /// is deducted.
    pub(super) fn has_room_to_buy(&self) -> bool {
        self.rule().is_some_and(|rule| self.check_balance_bound(Micros::new(rule.cents * 1_000)).is_ok())
    }

    /// Opens an automatic top-up if the balance is low and the rule allows one. `charge` is the
    /// charge that brings it about.
    pub(super) fn buy_if_low(&mut self, charge: Option<usize>, now: Timestamp) -> bool {
        let Some(rule) = self.rule() else { return false };
        let balance = self.balance();
        let pauses = match rule.state {
            AutoTopUpState::Active => false,
            // A pause of more than a day was begun while a clock was ahead.
            AutoTopUpState::Paused { until } => {
                until > now && until.millis() - now.millis() <= DAY_SECONDS * 1_000 + 10_000
            }
            AutoTopUpState::Stopped { .. } => true,
        };
        let is_low = balance.available < rule.threshold && balance.debt == Micros::ZERO;
        if pauses || !is_low || self.profile().suspended {
            return false;
        }
        let month = self.windows(now).month;
        let top_ups = self.top_ups();
        let pending = || top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Pending);
        let waits = pending().any(|top_up| top_up.way == TopUpWay::Automatic);
        let automatic = top_ups.iter().filter(|top_up| top_up.way == TopUpWay::Automatic);
        let counted = automatic.filter(|top_up| {
            top_up.status != TopUpStatus::Failed
                && month.start <= top_up.opened_at
                && top_up.opened_at < month.end
        });
        let bought: i64 = counted.map(|top_up| top_up.cents).sum();
        let is_full = top_ups.len() >= 10_000 || pending().count() >= 100;
        if waits || is_full || bought + rule.cents > rule.monthly_cap_cents {
            return false;
        }
        self.add(now, Fact::TopUpOpened { cents: rule.cents, way: TopUpWay::Automatic, charge });
        true
    }
}

/// True if the rule was not stopped.
fn runs(rule: &AutoTopUp) -> bool {
    !matches!(rule.state, AutoTopUpState::Stopped { .. })
}

/// The pause that a failed top-up began.
fn paused_by(failed: Option<(TopUpFailure, Timestamp)>, declines: u8) -> AutoTopUpState {
    let Some((failure, at)) = failed else { return AutoTopUpState::Active };
    let seconds = match failure {
        TopUpFailure::HardDecline | TopUpFailure::AuthenticationNeeded => return AutoTopUpState::Active,
        TopUpFailure::SoftDecline if declines < 2 => HOUR_SECONDS,
        _ => DAY_SECONDS,
    };
    AutoTopUpState::Paused { until: at.plus_seconds(seconds) }
}
