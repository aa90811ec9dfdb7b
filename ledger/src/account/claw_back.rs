//! Claw-backs: credit taken back after a payment was lost, and the debt where it was already spent.
//!
//! A claw-back goes towards a target: the part of a grant's credit that is lost of its payment
//! ([`Micros::share`]). What is taken and owed for a payment is that part (i13), in any order of
//! its reports.
//!
//! If more is lost than before, what is unspent of the grant is taken, then what else is available,
//! never below zero. The rest is owed, and credit that comes in or back repays it first. While
//! anything is owed, every charge is refused. If less is lost than before, what is owed is forgiven
//! first, then what was taken last is given back. Credit that comes back to a grant whose payment
//! was lost replaces what was taken from other grants.
//!
//! Journals of earlier versions took back per dispute. Such claw-backs count for their grants.
//! How much of a payment is lost is not decided here.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::journal::entry::sum;
use crate::{Draw, GrantId, Micros};

/// One lost payment: what was taken for it and what is still owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClawBack {
    /// The grant that was paid for.
    pub grant: GrantId,
    /// The name: the id of the grant, or in journals of earlier versions the name of a dispute.
    pub dispute: Box<str>,
    /// What was taken so far: one draw a grant, in the order in which they were first taken from.
    pub taken: Vec<Draw>,
    /// What is still owed, never negative.
    pub owed: Micros,
}

impl ClawBack {
    /// The lost part of the payment: what was taken and what is still owed.
    #[must_use]
    pub fn lost(&self) -> Micros {
        assert!(self.owed >= Micros::ZERO, "i04: what is owed for a dispute must not be negative");
        sum(&self.taken) + self.owed
    }

    /// Adds what was taken from a grant.
    fn take(&mut self, draw: Draw) {
        assert!(draw.amount > Micros::ZERO, "i13: what is taken must be above zero");
        match self.taken.iter_mut().find(|taken| taken.grant == draw.grant) {
            Some(taken) => taken.amount += draw.amount,
            None => self.taken.push(draw),
        }
    }

    /// Gives back at most `amount`, what was taken last first; returns the draws to give back.
    fn give_back(&mut self, amount: Micros) -> Vec<Draw> {
        let (mut left, lost) = (amount, self.lost());
        let mut returns = Vec::new();
        for taken in self.taken.iter_mut().rev() {
            let given = taken.amount.min(left);
            if given > Micros::ZERO {
                taken.amount -= given;
                left -= given;
                returns.push(Draw { grant: taken.grant, amount: given });
            }
        }
        self.taken.retain(|taken| taken.amount > Micros::ZERO);
        assert!(
            self.lost() + sum(&returns) == lost,
            "i13: what is given back must be what was taken for the payment"
        );
        returns
    }
}

/// The claw-backs of a workspace for which something is taken or owed, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClawBacks(Vec<ClawBack>);

impl ClawBacks {
    /// The claw-backs, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, ClawBack> {
        self.0.iter()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The debt: the sum of what is owed for them.
    #[must_use]
    pub fn owed(&self) -> Micros {
        self.0.iter().map(|claw_back| claw_back.owed).sum()
    }

    /// What was lost of the payment for this grant.
    #[must_use]
    pub fn lost_of(&self, grant: GrantId) -> Micros {
        self.of_grant(grant).map(ClawBack::lost).sum()
    }

    /// The claw-backs of the payment for this grant, oldest first.
    pub(crate) fn of_grant(&self, grant: GrantId) -> impl Iterator<Item = &ClawBack> {
        self.0.iter().filter(move |claw_back| claw_back.grant == grant)
    }

    /// The numbers of the grants from which credit was taken. They must be in memory when credit
    /// goes back, because it may replace what was taken from them.
    pub fn drawn_grants(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|claw_back| claw_back.taken.iter().map(|draw| draw.grant))
    }

    /// The claw-back of this dispute, if it was not restored.
    pub(crate) fn find(&self, dispute: &str) -> Option<&ClawBack> {
        self.0.iter().find(|claw_back| &*claw_back.dispute == dispute)
    }

    /// Adds the claw-back of a dispute.
    pub(crate) fn open(&mut self, claw_back: ClawBack) {
        assert!(claw_back.owed >= Micros::ZERO, "i04: what is owed for a dispute must not be negative");
        self.0.push(claw_back);
    }

    /// Removes the claw-back of a dispute that was won.
    pub(crate) fn close(&mut self, dispute: &str) {
        self.0.retain(|claw_back| &*claw_back.dispute != dispute);
    }

    /// Adds what is taken and owed because more is lost of the payment for a grant.
    ///
    /// # Errors
    /// [`Violation`] if that is nothing or negative.
    pub(crate) fn increase(&mut self, grant: GrantId, draws: &[Draw], owed: Micros) -> Result<(), Violation> {
        ensure(owed >= Micros::ZERO, "i04: debt is negative")?;
        ensure(draws.iter().all(|draw| draw.amount > Micros::ZERO), "i13: a claw-back takes no credit")?;
        ensure(!draws.is_empty() || owed > Micros::ZERO, "i13: a claw-back grows by nothing")?;
        let (dispute, before) = (grant.to_string().into_boxed_str(), self.lost_of(grant));
        if self.find(&dispute).is_none() {
            self.open(ClawBack { grant, dispute: dispute.clone(), taken: Vec::new(), owed: Micros::ZERO });
        }
        let named = self.0.iter_mut().find(|claw_back| claw_back.dispute == dispute);
        let claw_back = named.expect("it was opened if it was not there");
        claw_back.owed += owed;
        draws.iter().for_each(|draw| claw_back.take(*draw));
        assert!(
            self.lost_of(grant) == before + owed + sum(draws),
            "i13: a claw-back must grow by what is taken and owed"
        );
        Ok(())
    }

    /// Forgives and gives back `amount`, because less is lost of the payment for a grant: first all
    /// that is owed, then what was taken last. Returns what is forgiven and what is given back.
    ///
    /// # Errors
    /// [`Violation`] of i13 if the amount is zero or more than is lost.
    pub(crate) fn reduce(
        &mut self,
        grant: GrantId,
        amount: Micros,
    ) -> Result<(Micros, Vec<Draw>), Violation> {
        let before = self.lost_of(grant);
        ensure(amount > Micros::ZERO && amount <= before, "i13: more is given back than was taken or owed")?;
        let (mut left, mut forgiven, mut returns) = (amount, Micros::ZERO, Vec::new());
        let newest_first = || self.0.iter().enumerate().rev().filter(|(_, it)| it.grant == grant);
        let places: Vec<usize> = newest_first().map(|(place, _)| place).collect();
        for place in &places {
            let part = self.0[*place].owed.min(left);
            self.0[*place].owed -= part;
            forgiven += part;
            left -= part;
        }
        for place in &places {
            let given = self.0[*place].give_back(left);
            left -= sum(&given);
            returns.extend(given);
        }
        assert!(left == Micros::ZERO, "i13: all that is not forgiven must be given back");
        self.0.retain(|claw_back| claw_back.lost() > Micros::ZERO);
        assert!(self.lost_of(grant) + amount == before, "i13: a claw-back must shrink by what it gives");
        Ok((forgiven, returns))
    }

    /// Repays debt from one grant, the oldest claw-back first.
    ///
    /// # Errors
    /// [`Violation`] of i10 if the amount is more than is owed.
    pub(crate) fn repay(&mut self, draw: Draw) -> Result<(), Violation> {
        let (mut left, before) = (draw.amount, self.owed());
        for claw_back in &mut self.0 {
            let paid = claw_back.owed.min(left);
            if paid > Micros::ZERO {
                claw_back.owed -= paid;
                claw_back.take(Draw { grant: draw.grant, amount: paid });
                left -= paid;
            }
        }
        if left > Micros::ZERO {
            return Err(Violation("i10: more was repaid than was owed"));
        }
        assert!(
            self.owed() + draw.amount == before,
            "i10: a repayment must reduce what is owed by its amount"
        );
        Ok(())
    }

    /// Replaces what was taken from other grants by what is taken from the disputed one.
    ///
    /// # Errors
    /// [`Violation`] of i13 if the sums differ or less was taken from those grants.
    pub(crate) fn exchange(&mut self, dispute: &str, draw: Draw, returns: &[Draw]) -> Result<(), Violation> {
        const UNKNOWN: Violation = Violation("i13: credit is exchanged for a dispute that is not open");
        ensure(draw.amount > Micros::ZERO, "i13: an exchange moves no credit")?;
        ensure(sum(returns) == draw.amount, "i13: an exchange takes more or less than it gives back")?;
        let claw_back = self.0.iter_mut().find(|claw_back| &*claw_back.dispute == dispute).ok_or(UNKNOWN)?;
        let lost = claw_back.lost();
        for given in returns {
            let taken = claw_back.taken.iter_mut().find(|taken| taken.grant == given.grant);
            let taken = taken.filter(|taken| taken.amount >= given.amount);
            let taken =
                taken.ok_or(Violation("i13: an exchange gives back more than was taken from a grant"))?;
            taken.amount -= given.amount;
        }
        claw_back.taken.retain(|taken| taken.amount > Micros::ZERO);
        claw_back.take(draw);
        ensure(claw_back.lost() == lost, "i13: what is taken and owed is not the lost part of the payment")
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.list(&self.0, |w, claw_back| {
            w.id(claw_back.grant.0);
            w.text(&claw_back.dispute);
            w.list(&claw_back.taken, |w, draw| draw.write(w));
            w.micros(claw_back.owed);
        });
    }

    pub(crate) fn read(r: &mut Reader) -> Result<ClawBacks, Malformed> {
        let all = r.list("the claw-backs", |r| {
            Ok(ClawBack {
                grant: GrantId(r.id("a claw-back's grant")?),
                dispute: r.text("a dispute")?.into(),
                taken: r.list("what was taken", Draw::read)?,
                owed: r.micros("what is owed")?,
            })
        })?;
        Ok(ClawBacks(all))
    }
}
