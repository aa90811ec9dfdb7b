//! Grants: lots of credit, and how charges draw from them and refunds return to them.
//!
//! Keeps i03 (0 ≤ remaining ≤ amount). Credit never expires (P6, P7): a grant is spent or taken
//! back, never lost. The draw order is promotional, adjustment, subscription, top-up, the oldest
//! first within each, so that bought credit lasts longest. A refund returns in the opposite order,
//! so that bought credit returns first.

use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::journal::disagreement::{Violation, ensure};
use crate::{GrantId, IdempotencyKey, Micros, Timestamp};

/// The kind of a grant. The order of the variants is the order in which grants are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Given by the platform for free.
    Promotional,
    /// A correction by the platform.
    Adjustment,
    /// The allocation of one subscription period (P4).
    Subscription,
    /// Bought (P5).
    TopUp,
}

impl Source {
    /// True for a grant that a payment pays for; it needs an origin (i11, i12).
    #[must_use]
    pub const fn is_paid_for(self) -> bool {
        match self {
            Source::Subscription | Source::TopUp => true,
            Source::Promotional | Source::Adjustment => false,
        }
    }
}

coded!(Source, "a grant's source", {
    Promotional = 0 "promotional",
    Adjustment = 1 "adjustment",
    Subscription = 2 "subscription",
    TopUp = 3 "top_up",
});

/// The first character of a derived key. No key of a caller can begin with it, because it is not
/// printable.
const DERIVED: char = '\u{1}';

/// The key of the one grant for a payment, or for a subscription and its period (i11, i12).
pub(crate) fn payment_key(source: Source, origin: &str) -> IdempotencyKey {
    let key = format!("{DERIVED}{}:{origin}", source.as_str());
    assert!(IdempotencyKey::new(&key).is_err(), "i12: a caller must not be able to choose a derived key");
    IdempotencyKey::known(&key)
}

/// The payment of a key that [`payment_key`] made for this kind of grant.
pub(crate) fn payment_of_key(source: Source, key: &IdempotencyKey) -> Option<&str> {
    key.as_str().strip_prefix(DERIVED)?.strip_prefix(source.as_str())?.strip_prefix(':')
}

/// A lot of credit and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The id of the grant.
    pub id: GrantId,
    /// The number of the entry that granted it; draws name the grant by it, and it orders grants by
    /// age.
    pub n: u64,
    /// The kind of the grant.
    pub source: Source,
    /// The credit that was granted.
    pub amount: Micros,
    /// The credit that is unspent; 0 ≤ remaining ≤ amount (i03).
    pub remaining: Micros,
    /// The time at which the platform voided the grant, if it did. A voided grant holds nothing
    /// after a change: credit that goes back to it is taken at once.
    pub voided_at: Option<Timestamp>,
}

/// An amount taken from, or returned to, one grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The number of the grant ([`Grant::n`]).
    pub grant: u64,
    /// The amount: above zero, or zero if a grant is voided that was spent.
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

/// The draws of a charge. Nearly every charge has one draw, which is stored in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draws {
    /// One draw.
    One(Draw),
    /// No draw, or at least two.
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

/// The grants of a workspace that are in memory, in draw order: all that are unspent, and the spent
/// ones that a command needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// The grants in draw order.
    pub fn iter(&self) -> std::slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// The grant with this number, if it is in memory.
    #[must_use]
    pub fn get(&self, n: u64) -> Option<&Grant> {
        self.0.iter().find(|grant| grant.n == n)
    }

    /// The grant with this id, if it is in memory.
    #[must_use]
    pub fn find(&self, id: GrantId) -> Option<&Grant> {
        self.0.iter().find(|grant| grant.id == id)
    }

    /// What of these returns goes to voided grants; all of them must be in memory.
    ///
    /// # Errors
    /// [`Violation`] of i03 if a grant is not there.
    pub(crate) fn returned_to_voided(&self, returns: &[Draw]) -> Result<Vec<Draw>, Violation> {
        let mut voided = Vec::new();
        for draw in returns {
            let grant = self.get(draw.grant).ok_or(Violation(UNKNOWN_GRANT))?;
            if grant.voided_at.is_some() {
                voided.push(*draw);
            }
        }
        Ok(voided)
    }

    /// Marks a grant as voided, from which its unspent credit was taken before.
    ///
    /// # Errors
    /// [`Violation`] of i03 if the grant is not there, holds credit or is voided already.
    pub(crate) fn void(&mut self, n: u64, at: Timestamp) -> Result<(), Violation> {
        let grant = self.loaded(n)?;
        ensure(grant.remaining == Micros::ZERO, "i03: a voided grant keeps credit")?;
        ensure(grant.voided_at.is_none(), "i03: a grant is voided twice")?;
        grant.voided_at = Some(at);
        Ok(())
    }

    /// Adds a grant in draw order: a new one, or a spent one that a command needs.
    ///
    /// # Panics
    /// If the grant is in memory already: one of the two would miss what happens to it.
    pub fn insert(&mut self, grant: Grant) {
        assert!(self.try_insert(grant), "i03: a grant must be in memory once");
    }

    /// The same for a grant that was read; false if it is in memory already.
    pub(crate) fn try_insert(&mut self, grant: Grant) -> bool {
        const FEW: usize = 8;
        let order = draw_order(&grant);
        let Err(index) = self.0.binary_search_by(|other| draw_order(other).cmp(&order)) else { return false };
        if self.0.len() < FEW {
            // Most accounts have few grants, and there are many accounts: no room in advance.
            self.0.reserve_exact(1);
        }
        self.0.insert(index, grant);
        true
    }

    /// The sum of what remains in them.
    #[must_use]
    pub fn remaining(&self) -> Micros {
        self.0.iter().map(|grant| grant.remaining).sum()
    }

    /// Removes the spent grants and returns them, so that memory holds only what can still be
    /// drawn. The engine stores them.
    pub fn release_spent(&mut self) -> Vec<Grant> {
        if self.0.iter().all(|grant| grant.remaining > Micros::ZERO) {
            return Vec::new();
        }
        let before = self.remaining();
        let all = std::mem::take(&mut self.0);
        let (unspent, spent) = all.into_iter().partition(|grant| grant.remaining > Micros::ZERO);
        self.0 = unspent;
        assert!(self.remaining() == before, "i10: a grant that leaves memory must have nothing left");
        spent
    }

    /// The draws of a charge of this amount, which the caller found available.
    ///
    /// # Panics
    /// If the grants hold less (i04).
    pub(crate) fn plan(&self, amount: Micros) -> Draws {
        assert!(amount >= Micros::ZERO, "i01: a charge must not draw a negative amount");
        // Most charges are drawn from one grant.
        if let Some(grant) = self.0.first()
            && grant.remaining >= amount
            && amount > Micros::ZERO
        {
            return Draws::One(Draw { grant: grant.n, amount });
        }
        self.plan_from(None, amount).into()
    }

    /// The draws of this amount, from one grant before all others.
    ///
    /// # Panics
    /// If the grants hold less (i04), or those that are drawn are not in draw order.
    pub(crate) fn plan_from(&self, first: Option<u64>, amount: Micros) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(1);
        let mut missing = amount;
        let preferred = first.and_then(|n| self.get(n));
        let others = self.0.iter().filter(|grant| Some(grant.n) != first);
        let mut last = None;
        for grant in preferred.into_iter().chain(others) {
            if missing == Micros::ZERO {
                break;
            }
            if Some(grant.n) != first {
                assert!(last < Some(draw_order(grant)), "grants must be in draw order, each once");
                last = Some(draw_order(grant));
            }
            let taken = grant.remaining.min(missing);
            assert!(taken >= Micros::ZERO, "i03: what remains of a grant must not be negative");
            if taken > Micros::ZERO {
                draws.push(Draw { grant: grant.n, amount: taken });
                missing -= taken;
            }
        }
        assert!(draws.len() <= self.0.len(), "a charge must draw from each grant at most once");
        assert!(missing == Micros::ZERO, "i04: the grants must hold the available balance");
        draws
    }

    /// Takes each draw from its grant.
    ///
    /// # Errors
    /// [`Violation`] of i03 if a grant is not there or has less.
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

    /// Returns each draw to its grant.
    ///
    /// # Errors
    /// [`Violation`] of i03 if a grant is not there or would hold more than its amount.
    pub(crate) fn give(&mut self, returns: &[Draw]) -> Result<(), Violation> {
        for draw in returns {
            let grant = self.loaded(draw.grant)?;
            if draw.amount > grant.amount - grant.remaining {
                return Err(Violation("i03: a grant got back more than its amount"));
            }
            grant.remaining += draw.amount;
        }
        Ok(())
    }

    fn loaded(&mut self, n: u64) -> Result<&mut Grant, Violation> {
        let grant = self.0.iter_mut().find(|grant| grant.n == n);
        grant.ok_or(Violation(UNKNOWN_GRANT))
    }
}

const UNKNOWN_GRANT: &str = "i03: an entry names a grant that does not exist";

/// The position of a grant in the draw order: by source, then by age.
fn draw_order(grant: &Grant) -> (Source, u64) {
    (grant.source, grant.n)
}

/// What returns to which grant if `amount` of a charge with these draws is refunded, of which
/// `refunded` was refunded before: the last draw returns first.
///
/// # Panics
/// If it is more than the charge drew and did not give back yet (i05).
pub(crate) fn returns_of(draws: &[Draw], refunded: Micros, amount: Micros) -> Vec<Draw> {
    assert!(refunded >= Micros::ZERO && amount >= Micros::ZERO, "i05: a refund must not be negative");
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
    assert!(skip == Micros::ZERO, "i05: the earlier refunds must not exceed what the charge drew");
    assert!(missing == Micros::ZERO, "i05: a refund must not exceed what the charge drew");
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
            grants.insert(Grant { id, n, source, amount, remaining: amount, voided_at: None });
        }
        grants
    }

    fn pairs(draws: &[Draw]) -> Vec<(u64, i64)> {
        draws.iter().map(|draw| (draw.grant, draw.amount.get())).collect()
    }

    #[test]
    fn promotional_credit_is_drawn_first_and_bought_credit_last() {
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
        let back = |refunded, amount| pairs(&returns_of(&draws, Micros::new(refunded), Micros::new(amount)));
        assert_eq!(back(0, 5), [(2, 5)]);
        assert_eq!(back(0, 115), [(2, 5), (3, 100), (4, 10)]);
        assert_eq!(back(3, 4), [(2, 2), (3, 2)]);
        assert_eq!(back(105, 10), [(4, 10)]);
    }

    #[test]
    fn a_grant_is_in_memory_once() {
        let mut grants = grants(&[(2, Source::TopUp, 100), (3, Source::Promotional, 10)]);
        let again = grants.get(2).expect("it was added").clone();
        assert!(!grants.try_insert(again));
        assert_eq!(grants.iter().map(|grant| grant.n).collect::<Vec<_>>(), [3, 2]);
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
