//! One charge with its draws and refunds.
//!
//! The core says which entries are about the charge, and the files hold them. The number of entries
//! that are read is bounded, however often the charge was refunded or extended
//! ([`CHARGE_CHANGES_MAX`](tollkeeper_ledger::bounds::CHARGE_CHANGES_MAX)).

use tollkeeper_ledger::{Charge, ChargeId, GrantId, Micros, WorkspaceId};

use super::lists::Reader;
use crate::answer::{self, ChargeHistory};
use crate::embedded::core::queries::ChargeNow;
use crate::{ChargeRecord, Error};

impl Reader {
    /// Answers [`Query::Charge`](crate::Query::Charge).
    pub(crate) fn charge(&self, id: &WorkspaceId, charge: ChargeId) -> Result<Option<ChargeRecord>, Error> {
        let wanted = id.clone();
        let candidates = self.core.blocking_read(move |core| core.opening_candidates(&wanted, charge))?;
        let Some((index, seqs)) = candidates else { return Ok(None) };
        let Some((opening_seq, mut charge)) = self.opened(index, charge, seqs)? else { return Ok(None) };
        let drawn: Vec<u64> = charge.details.draws.iter().map(|draw| draw.grant).collect();
        let wanted = id.clone();
        let now = self.core.blocking_read(move |core| core.charge_now(&wanted, opening_seq, &drawn))?;
        let Some(ChargeNow { changes, grants, balance }) = now else { return Ok(None) };
        let mut history = ChargeHistory::of(&charge);
        self.bring_up_to_date(&mut charge, changes, |entry| {
            history.add(entry);
            true
        })?;
        let ChargeHistory { mut refunds, used } = history;
        // The newest entry was read first.
        refunds.reverse();
        let draws = self.draws_by_id(index, &charge, grants)?;
        Ok(Some(ChargeRecord { charge, draws, refunds, used, balance }))
    }

    /// The charge in its first state, with the number of the entry that opened it.
    fn opened(&self, index: u32, id: ChargeId, seqs: Vec<u64>) -> Result<Option<(u64, Charge)>, Error> {
        for seq in seqs {
            let entry = self.stored(seq, |stored| match stored.header.account_index == index {
                true => stored.entry().map(Some),
                false => Ok(None),
            })?;
            let charge = entry.and_then(answer::charge_opened_by);
            if let Some(charge) = charge.filter(|charge| charge.details.id == id) {
                return Ok(Some((seq, charge)));
            }
        }
        Ok(None)
    }

    /// The draws of a charge with the ids of their grants. `in_memory`: the ids that the core
    /// knows.
    fn draws_by_id(
        &self,
        index: u32,
        charge: &Charge,
        in_memory: Vec<Option<GrantId>>,
    ) -> Result<Vec<(GrantId, Micros)>, Error> {
        assert_eq!(in_memory.len(), charge.details.draws.len(), "the core answers for every draw");
        let mut draws = Vec::with_capacity(in_memory.len());
        for (draw, id) in charge.details.draws.iter().zip(in_memory) {
            let id = match id {
                Some(id) => id,
                // It is spent and left memory after it was written.
                None => {
                    let grant = self.state.lot(index, draw.grant)?;
                    let missing =
                        || self.state.damaged(format!("the row of grant {} is missing", draw.grant));
                    grant.ok_or_else(missing)?.id
                }
            };
            draws.push((id, draw.amount));
        }
        Ok(draws)
    }
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{
        ChargeCommand, ChargeRequest, Command, GrantRequest, Micros, OperationId, OperationPrice, Source,
        Status, Timestamp, WorkspaceId, bounds,
    };

    use crate::embedded::test_commands::{submission, workspace};
    use crate::embedded::{Embedded, Options};
    use crate::{ChargeFilter, Engine, Output, Page, Reads};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// The number of entries that the writer thread has read.
    async fn read_by_writer(engine: &Embedded) -> i32 {
        let read = engine.core.read(crate::embedded::Core::entries_read).await;
        read.expect("a healthy disk")
    }

    #[test]
    fn a_charge_with_many_refunds_is_read_by_no_writer() {
        let scratch = tempfile::tempdir().expect("a directory");
        let engine = Embedded::open(scratch.path(), Options::default()).expect("an empty directory opens");
        let id = OperationId::new("message").expect("the id is valid");
        let price =
            OperationPrice { id: id.clone(), price: Micros::new(2_000).into(), timeout_seconds: None };
        let prices = Command::SetPrices { operations: vec![price], effective_at: None };
        let credit = GrantRequest::new(Source::Promotional, Micros::new(2_000));
        let begin = vec![
            submission(WorkspaceId::platform(), "prices", prices),
            submission(workspace("acme"), "new", Command::CreateWorkspace(Default::default())),
            submission(workspace("acme"), "credit", Command::Grant(credit)),
            submission(workspace("acme"), "charge", Command::Charge(ChargeRequest::new(id, 1))),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        runtime.block_on(async {
            let mut answers = engine.run_batch(begin, NOW).await.expect("a healthy disk");
            let answer = answers.pop().expect("one for each").expect("it is accepted");
            let Output::Charge(charge, _) = answer.output else { panic!("a charge is answered") };
            let charge = charge.details.id;
            let refund = |n: u32| {
                let amount = (n < bounds::REFUNDS_MAX).then_some(Micros::new(1));
                let command = ChargeCommand::Refund { amount, reason: "courtesy".into() };
                submission(
                    workspace("acme"),
                    &format!("refund-{n}"),
                    Command::ExistingCharge { charge, command },
                )
            };
            let refunds = (1..=bounds::REFUNDS_MAX).map(refund).collect();
            for answer in engine.run_batch(refunds, NOW).await.expect("a healthy disk") {
                answer.expect("it is accepted");
            }
            let before = read_by_writer(&engine).await;
            let record = engine
                .charge(&workspace("acme"), charge)
                .await
                .expect("a healthy disk")
                .expect("it is there");
            assert_eq!((record.refunds.len(), record.charge.state.status), (1_000, Status::Refunded));
            let sum: i64 = record.refunds.iter().map(|refund| refund.refund.amount.get()).sum();
            assert_eq!((sum, record.refunds[999].refund.amount), (2_000, Micros::new(1_001)));
            assert_eq!((record.draws.len(), record.balance.available), (1, Micros::new(2_000)));
            let page = Page { limit: 10, cursor: None };
            let listed = engine.charges(&workspace("acme"), ChargeFilter::default(), page).await;
            let listed = listed.expect("a healthy disk").expect("it is there");
            assert_eq!(listed.data, [record.charge]);
            assert_eq!(read_by_writer(&engine).await, before, "the writer thread has read no entry");
            engine.close().await.expect("a healthy disk");
        });
    }
}
