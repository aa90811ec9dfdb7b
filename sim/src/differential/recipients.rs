//! Compares who gets mails: the rows of recipients, the texts of typed addresses, and for each
//! topic to whom a mail goes.

use std::sync::Arc;

use tollkeeper_engine::{Engine, Reads};
use tollkeeper_ledger::{MailTopic, Recipient, Team, WorkspaceId};
use tollkeeper_testkit::blocking::block_on;

use super::{Difference, Differential};
use crate::model::Pool;

impl Differential {
    pub(super) fn compare_recipients(
        &mut self,
        engine: &dyn Engine,
        id: &WorkspaceId,
        (team, pool): (&Arc<Team>, &Pool),
    ) -> Result<(), Difference> {
        let what = |what: &str| format!("the {what} of {id}");
        let typed = team.recipients.iter().filter_map(|row| Some((row.subject.owner(), row.address?)));
        let wanted: Vec<_> = typed.collect();
        let expected: Vec<_> = wanted.iter().map(|(_, digest)| pool.typed_text(digest)).collect();
        let stored = block_on(engine.personal_texts(id, wanted));
        let stored = stored.map_err(|error| self.engine_error(&what("addresses"), error))?;
        self.expect_equal(&what("addresses"), stored, expected)?;
        for topic in MailTopic::ALL {
            let mut found = Vec::new();
            for to in team.mail_recipients(topic) {
                found.push((self.names.recipient_for_model(id, to.subject), to.address));
            }
            self.expect_equal(&what(topic.as_str()), found, pool.mail_recipients(topic))?;
        }
        let mut rows: Vec<Recipient> = team.recipients.clone();
        for row in &mut rows {
            row.subject = self.names.recipient_for_model(id, row.subject.clone());
        }
        self.expect_equal(&what("recipients"), rows, pool.recipients())
    }
}
