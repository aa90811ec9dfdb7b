//! Random commands about who gets mails: few addresses, so that one is often chosen, removed and
//! chosen again.

use tollkeeper_ledger::{
    MailFault, MailTopic, RecipientCommand, RecipientId, RecipientRequest, RecipientSubject,
};

use super::Workload;
use crate::model::Pool;
use crate::model::step::{nth, unknown_id};

const ADDRESSES: [&str; 4] =
    ["finance@acme.example", "ops@acme.example", "on-call@acme.example", "cfo@acme.example"];

impl Workload {
    pub(super) fn recipient_command(&mut self, pool: &Pool) -> RecipientCommand {
        match self.random.below(100) {
            0..30 => RecipientCommand::Choose(self.choice(pool)),
            30..45 => RecipientCommand::Remove(self.recipient(pool)),
            45..60 => RecipientCommand::Confirm(self.address(pool)),
            60..80 => RecipientCommand::Mute {
                subject: self.recipient(pool),
                topic: self.topic(),
                muted: self.random.chance(700),
            },
            80..92 => {
                let subject = self.recipient(pool);
                // At times the fault is that of an address from before.
                let address = pool.address_of(&subject).filter(|_| self.random.chance(900));
                let fault = *self.random.pick(&[MailFault::Bounced, MailFault::Complained]);
                RecipientCommand::NoteFault { subject, address: address.unwrap_or([7; 32]), fault }
            }
            _ => RecipientCommand::NoteMail {
                about: self.random.below(pool.next_n() + 1),
                topic: self.random.chance(900).then(|| self.topic()),
                subject: self.recipient(pool),
            },
        }
    }

    fn choice(&mut self, pool: &Pool) -> RecipientRequest {
        if self.random.chance(400) {
            RecipientRequest::Member(self.some_member(Some(pool)))
        } else {
            let address = self.random.pick::<&str>(&ADDRESSES);
            RecipientRequest::Address(self.text(address))
        }
    }

    fn topic(&mut self) -> MailTopic {
        *self.random.pick(&MailTopic::ALL)
    }

    /// Mostly one that has a row, at times any member or address.
    fn recipient(&mut self, pool: &Pool) -> RecipientSubject {
        let rows = pool.recipients();
        match self.random.below(100) {
            0..65 if !rows.is_empty() => self.random.pick(&rows).subject.clone(),
            0..85 => RecipientSubject::Member(self.some_member(Some(pool))),
            _ => RecipientSubject::Address(self.address(pool)),
        }
    }

    /// Mostly an address that was added at some time, rarely an unknown one.
    fn address(&mut self, pool: &Pool) -> RecipientId {
        match pool.address_count() {
            count if count > 0 && self.random.chance(970) => RecipientId(nth(self.random.index(count))),
            _ => RecipientId(unknown_id()),
        }
    }
}
