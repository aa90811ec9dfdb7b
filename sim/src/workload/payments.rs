//! Random commands about payments: top-ups, and payments that are lost.

use tollkeeper_ledger::{Command, PaymentCommand, TopUpBounds, TopUpId, TopUpStatus, TopUpWay};

use super::Workload;
use crate::model::Pool;
use crate::model::step::{index_of, unknown_id};

impl Workload {
    /// Opens a top-up, or confirms one: mostly one that waits, at times any or an unknown one.
    pub(super) fn payment(&mut self, pool: &Pool) -> Command {
        let top_ups = pool.top_ups();
        if top_ups.is_empty() || self.random.chance(500) {
            let cents = match self.random.below(50) {
                0 => 0,
                1 => -1,
                2 => 100_000_000,
                _ => 1 + self.random.below(self.shape.richness / 500) as i64,
            };
            let min_cents = *self.random.pick(&[1, 1, 2]);
            let allowed = TopUpBounds { min_cents, ..TopUpBounds::WIDEST };
            return Command::Payment(PaymentCommand::OpenTopUp { cents, way: TopUpWay::Manual, allowed });
        }
        let waits: Vec<_> = top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Pending).collect();
        let id = if !waits.is_empty() && self.random.chance(700) {
            self.random.pick(&waits).id
        } else if self.random.chance(250) {
            TopUpId(unknown_id())
        } else {
            self.random.pick(&top_ups).id
        };
        Command::Payment(PaymentCommand::ConfirmTopUp(id))
    }

    /// Mostly of a grant that was paid for, and mostly not more than was paid.
    pub(super) fn lost(&mut self, pool: &Pool) -> Command {
        let grants = pool.grants();
        let paid_for: Vec<_> = grants.iter().filter(|record| record.paid_cents > 0).collect();
        let grant = match paid_for.len() {
            0 => self.some_grant(pool),
            _ if self.random.chance(100) => self.some_grant(pool),
            count => paid_for[self.random.index(count)].grant.id,
        };
        let paid = grants.get(index_of(grant.0)).map_or(0, |record| record.paid_cents);
        let lost_cents = match self.random.below(10) {
            0 => -1,
            1 => paid + 1,
            2 | 3 => 0,
            4 | 5 => paid,
            _ => self.random.below(paid.unsigned_abs() + 1) as i64,
        };
        Command::SetLost { grant, lost_cents, evidence: "dp_1".into() }
    }
}
