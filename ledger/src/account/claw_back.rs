//! Claw-backs: credit taken back after a payment was lost, and the debt where it was already spent.
//!
//! A claw-back takes what is unspent of the disputed grant, then what else is available, never
//! below zero. The rest is owed, and later grants repay it first. While anything is owed, every
//! charge is refused. A won dispute gives back exactly what was taken and forgives what was still
//! owed. Whether a dispute is lost is not decided here.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::Violation;
use crate::{Draw, Micros};

/// One lost payment: what was taken for it and what is still owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClawBack {
    /// The name of the dispute at the payment provider.
    pub dispute: Box<str>,
    /// What was taken so far, by grant, in the order in which it was taken.
    pub taken: Vec<Draw>,
    /// What is still owed, never negative.
    pub owed: Micros,
}

/// The claw-backs of a workspace that were not restored, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClawBacks(Vec<ClawBack>);

impl ClawBacks {
    /// The claw-backs, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, ClawBack> {
        self.0.iter()
    }

    /// The debt: the sum of what is owed for them.
    #[must_use]
    pub fn owed(&self) -> Micros {
        self.0.iter().map(|claw_back| claw_back.owed).sum()
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

    /// Repays debt from one grant, the oldest claw-back first.
    ///
    /// # Errors
    /// [`Violation`] of i10 if the amount is more than is owed.
    pub(crate) fn repay(&mut self, draw: Draw) -> Result<(), Violation> {
        let mut left = draw.amount;
        for claw_back in &mut self.0 {
            let paid = claw_back.owed.min(left);
            if paid > Micros::ZERO {
                claw_back.owed -= paid;
                claw_back.taken.push(Draw { grant: draw.grant, amount: paid });
                left -= paid;
            }
        }
        if left > Micros::ZERO {
            return Err(Violation("i10: more was repaid than was owed"));
        }
        Ok(())
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.list(&self.0, |w, claw_back| {
            w.text(&claw_back.dispute);
            w.list(&claw_back.taken, |w, draw| draw.write(w));
            w.micros(claw_back.owed);
        });
    }

    pub(crate) fn read(r: &mut Reader) -> Result<ClawBacks, Malformed> {
        let all = r.list("the claw-backs", |r| {
            Ok(ClawBack {
                dispute: r.text("a dispute")?.into(),
                taken: r.list("what was taken", Draw::read)?,
                owed: r.micros("what is owed")?,
            })
        })?;
        Ok(ClawBacks(all))
    }
}
