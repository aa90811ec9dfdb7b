//! Grants: the lots of credit that came in, and how charges draw from them and give back.
//!
//! Keeps i03 (0 ≤ remaining ≤ amount). Credit never expires (P6, P7): a grant is spent or taken back, never lost.
//! Draw order is promotional, adjustment, subscription, top-up, the oldest first within each, so that what was bought
//! lasts longest. A refund goes back in the opposite order, so that what was bought returns first.

use super::invariants::Violation;
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{GrantId, Micros};

/// Where a grant came from; the order of the variants is the order in which they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A present of the platform.
    Promotional,
    /// A correction by the platform.
    Adjustment,
    /// The allocation of one subscription period (P4).
    Subscription,
    /// Bought (P5).
    TopUp,
}

coded!(Source, "a grant's source", {
    Promotional = 0 "promotional",
    Adjustment = 1 "adjustment",
    Subscription = 2 "subscription",
    TopUp = 3 "top_up",
});

/// A lot of credit and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its public name.
    pub id: GrantId,
    /// The number of the entry that brought it: its short name inside the workspace, and its age.
    pub n: u64,
    /// Where it came from.
    pub source: Source,
    /// What it brought.
    pub amount: Micros,
    /// What is unspent; 0 ≤ remaining ≤ amount (i03).
    pub remaining: Micros,
}

/// So much of a charge (or of a claw-back) came from that grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// [`Grant::n`].
    pub grant: u64,
    /// More than zero.
    pub amount: Micros,
}

impl Draw {
    pub(crate) fn write(self, w: &mut Writer) {
        w.unsigned(self.grant);
        w.micros(self.amount);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Draw, Malformed> {
        Ok(Draw { grant: r.unsigned("a draw's grant")?, amount: r.micros("a draw's amount")? })
    }
}

/// The draws of a charge: nearly always one, which then needs no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draws {
    /// Just this.
    One(Draw),
    /// None, or at least two.
    Several(Vec<Draw>),
}

impl From<Vec<Draw>> for Draws {
    fn from(draws: Vec<Draw>) -> Draws {
        match draws[..] {
            [draw] => Draws::One(draw),
            _ => Draws::Several(draws),
        }
    }
}

impl std::ops::Deref for Draws {
    type Target = [Draw];
    fn deref(&self) -> &[Draw] {
        match self {
            Draws::One(draw) => std::slice::from_ref(draw),
            Draws::Several(draws) => draws,
        }
    }
}

/// The grants of a workspace that are in memory: all with something left, and spent ones a command needs.
///
/// Kept in draw order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// In draw order.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// The grant of this number, if it is in memory.
    #[must_use]
    pub fn get(&self, n: u64) -> Option<&Grant> {
        self.0.iter().find(|grant| grant.n == n)
    }

    /// The grant of this name, if it is in memory.
    #[must_use]
    pub fn find(&self, id: GrantId) -> Option<&Grant> {
        self.0.iter().find(|grant| grant.id == id)
    }

    /// Puts a grant in its place: a new one, or a spent one that a command needs again.
    pub fn insert(&mut self, grant: Grant) {
        const FEW: usize = 8;
        let place = self.0.partition_point(|g| (g.source, g.n) < (grant.source, grant.n));
        if self.0.len() < FEW {
            // Most accounts have few, and there are many accounts.
            self.0.reserve_exact(1);
        }
        self.0.insert(place, grant);
    }

    /// What remains in all of them.
    #[must_use]
    pub fn remaining(&self) -> Micros {
        self.0.iter().map(|grant| grant.remaining).sum()
    }

    /// Takes the spent ones out, so that memory holds what can still be drawn; the engine keeps them.
    pub fn release_spent(&mut self) -> Vec<Grant> {
        if self.0.iter().all(|grant| grant.remaining > Micros::ZERO) {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.0);
        let (open, spent) = all.into_iter().partition(|grant| grant.remaining > Micros::ZERO);
        self.0 = open;
        spent
    }

    /// What a charge of this amount would draw; the caller has seen that there is enough.
    pub(crate) fn plan(&self, amount: Micros) -> Draws {
        // Most charges are drawn from one grant.
        if let Some(grant) = self.0.first()
            && grant.remaining >= amount
            && amount > Micros::ZERO
        {
            return Draws::One(Draw { grant: grant.n, amount });
        }
        self.plan_from(None, amount).into()
    }

    /// Like [`Grants::plan`], but from one grant before all others.
    pub(crate) fn plan_from(&self, first: Option<u64>, amount: Micros) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(1);
        let mut missing = amount;
        let preferred = first.and_then(|n| self.get(n));
        let others = self.0.iter().filter(|grant| Some(grant.n) != first);
        for grant in preferred.into_iter().chain(others) {
            if missing == Micros::ZERO {
                break;
            }
            let taken = grant.remaining.min(missing);
            if taken > Micros::ZERO {
                draws.push(Draw { grant: grant.n, amount: taken });
                missing -= taken;
            }
        }
        assert!(missing == Micros::ZERO, "i04: the grants hold less than the balance says");
        draws
    }

    pub(crate) fn take(&mut self, draws: &[Draw]) -> Result<(), Violation> {
        for draw in draws {
            let grant = self.loaded(draw.grant)?;
            if draw.amount > grant.remaining {
                return Err(Violation("i03: a grant gave more than it had"));
            }
            grant.remaining -= draw.amount;
        }
        Ok(())
    }

    pub(crate) fn give(&mut self, draws: &[Draw]) -> Result<(), Violation> {
        for draw in draws {
            let grant = self.loaded(draw.grant)?;
            if draw.amount > grant.amount - grant.remaining {
                return Err(Violation("i03: a grant got back more than it brought"));
            }
            grant.remaining += draw.amount;
        }
        Ok(())
    }

    fn loaded(&mut self, n: u64) -> Result<&mut Grant, Violation> {
        let grant = self.0.iter_mut().find(|grant| grant.n == n);
        grant.ok_or(Violation("i03: an entry names a grant that is not there"))
    }
}

/// What goes back when `amount` of these draws is refunded after `refunded` was: the last drawn returns first.
pub(crate) fn give_back(draws: &[Draw], refunded: Micros, amount: Micros) -> Vec<Draw> {
    let (mut skip, mut missing) = (refunded, amount);
    let mut returns = Vec::with_capacity(1);
    for draw in draws.iter().rev() {
        let skipped = draw.amount.min(skip);
        skip -= skipped;
        let given = (draw.amount - skipped).min(missing);
        missing -= given;
        if given > Micros::ZERO {
            returns.push(Draw { grant: draw.grant, amount: given });
        }
    }
    assert!(missing == Micros::ZERO, "i05: a refund exceeds what the charge drew");
    returns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    fn grants(list: &[(u64, Source, i64)]) -> Grants {
        let mut grants = Grants::default();
        for &(n, source, amount) in list {
            let amount = Micros::new(amount);
            let id = GrantId(Id::v7(0, 0, n));
            grants.insert(Grant { id, n, source, amount, remaining: amount });
        }
        grants
    }

    fn pairs(draws: &[Draw]) -> Vec<(u64, i64)> {
        draws.iter().map(|draw| (draw.grant, draw.amount.get())).collect()
    }

    #[test]
    fn presents_go_first_and_what_was_bought_lasts_longest() {
        let grants = grants(&[
            (2, Source::TopUp, 100),
            (3, Source::Subscription, 100),
            (4, Source::Promotional, 10),
            (5, Source::Subscription, 100),
            (6, Source::Adjustment, 5),
        ]);
        let draws = grants.plan(Micros::new(220));
        assert_eq!(pairs(&draws), [(4, 10), (6, 5), (3, 100), (5, 100), (2, 5)]);
    }

    #[test]
    fn refunds_return_in_the_opposite_order_and_never_twice() {
        let draws =
            [(4, 10), (3, 100), (2, 5)].map(|(grant, amount)| Draw { grant, amount: Micros::new(amount) });
        let back = |refunded, amount| pairs(&give_back(&draws, Micros::new(refunded), Micros::new(amount)));
        assert_eq!(back(0, 5), [(2, 5)]);
        assert_eq!(back(0, 115), [(2, 5), (3, 100), (4, 10)]);
        assert_eq!(back(3, 4), [(2, 2), (3, 2)]);
        assert_eq!(back(105, 10), [(4, 10)]);
    }

    #[test]
    fn spent_grants_leave_memory() {
        let mut grants = grants(&[(2, Source::TopUp, 100), (3, Source::Promotional, 10)]);
        let draws = grants.plan(Micros::new(60));
        grants.take(&draws).expect("as planned");
        let spent = grants.release_spent();
        assert_eq!(spent.iter().map(|grant| grant.n).collect::<Vec<_>>(), [3]);
        assert_eq!(grants.remaining(), Micros::new(50));
        assert!(grants.release_spent().is_empty());
    }
}
