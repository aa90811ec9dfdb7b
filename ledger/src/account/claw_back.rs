//! Claw-backs: credit taken back after a payment was lost, and the debt where it was already spent.
//!
//! A claw-back takes what is unspent of the disputed grant, then what else is available, never below zero; the rest is
//! owed and repaid first by later grants. While anything is owed no charge passes. A won dispute gives back exactly what
//! was taken, and forgives what was still owed. Nothing here decides whether a dispute is lost.

use super::invariants::Violation;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Draw, Micros};

/// One dispute and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClawBack {
    /// The name of the dispute at the payment provider.
    pub dispute: Box<str>,
    /// What was taken so far, by grant.
    pub taken: Vec<Draw>,
    /// What is still to be taken.
    pub owed: Micros,
}

/// The claw-backs of a workspace that were not restored, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClawBacks(Vec<ClawBack>);

impl ClawBacks {
    /// All of them, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, ClawBack> {
        self.0.iter()
    }

    /// The debt: what is still to be taken for all of them.
    #[must_use]
    pub fn owed(&self) -> Micros {
        self.0.iter().map(|claw_back| claw_back.owed).sum()
    }

    pub(crate) fn find(&self, dispute: &str) -> Option<&ClawBack> {
        self.0.iter().find(|claw_back| &*claw_back.dispute == dispute)
    }

    pub(crate) fn open(&mut self, claw_back: ClawBack) {
        self.0.push(claw_back);
    }

    pub(crate) fn close(&mut self, dispute: &str) {
        self.0.retain(|claw_back| &*claw_back.dispute != dispute);
    }

    /// How a repayment from one grant spreads over the open debts, oldest first.
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
