//! What mails are about, and why an address gets none: topics, sets of topics, faults.
//!
//! The codes are in journals, so they never change. Who gets a mail of a topic is in `recipient`.

use crate::Malformed;
use crate::journal::codec::{Reader, Writer, coded};

/// What a mail is about; each topic can be muted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailTopic {
    /// The balance fell below a threshold.
    Low,
    /// The balance recovered after such an alert.
    Recovered,
    /// Charges were refused for lack of credit.
    Refused,
    /// A limit refused a charge.
    Limit,
    /// A top-up was paid or failed, or its money went back.
    TopUp,
    /// Automatic top-ups wait or have stopped.
    AutoTopUp,
    /// A subscription was renewed, is past due or has ended.
    Subscription,
    /// Credit is owed after a lost payment.
    Debt,
    /// A webhook endpoint fails or was disabled.
    Endpoint,
    /// An address refused a mail.
    Recipient,
}

coded!(MailTopic, "a topic of mails", {
    Low = 1 "balance.low",
    Recovered = 2 "balance.recovered",
    Refused = 3 "balance.refused",
    Limit = 4 "limit.reached",
    TopUp = 5 "top_up",
    AutoTopUp = 6 "auto_top_up",
    Subscription = 7 "subscription",
    Debt = 8 "debt",
    Endpoint = 9 "webhook_endpoint",
    Recipient = 10 "recipient",
});

impl MailTopic {
    /// All topics, by their codes.
    pub const ALL: [MailTopic; 10] = [
        MailTopic::Low,
        MailTopic::Recovered,
        MailTopic::Refused,
        MailTopic::Limit,
        MailTopic::TopUp,
        MailTopic::AutoTopUp,
        MailTopic::Subscription,
        MailTopic::Debt,
        MailTopic::Endpoint,
        MailTopic::Recipient,
    ];

    /// True if operations stop without somebody who acts: a mail of such a topic is sent also if
    /// all recipients have muted it.
    #[must_use]
    pub const fn is_critical(self) -> bool {
        matches!(self, MailTopic::Refused | MailTopic::AutoTopUp | MailTopic::Debt)
    }

    fn bit(self) -> u16 {
        let code = self.code();
        assert!((1..=16).contains(&code), "a topic of mails must fit the set");
        1 << (code - 1)
    }
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MailTopics(u16);

impl MailTopics {
    /// True if no topic is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if the topic is in the set.
    #[must_use]
    pub fn contains(self, topic: MailTopic) -> bool {
        self.0 & topic.bit() != 0
    }

    /// The same set with the topic or without it.
    #[must_use]
    pub fn with(self, topic: MailTopic, is_in: bool) -> MailTopics {
        let set = MailTopics(if is_in { self.0 | topic.bit() } else { self.0 & !topic.bit() });
        assert!(set.contains(topic) == is_in, "a set of topics must hold what was put in");
        set
    }

    /// The topics, by their codes.
    pub fn iter(self) -> impl Iterator<Item = MailTopic> {
        MailTopic::ALL.into_iter().filter(move |topic| self.contains(*topic))
    }

    pub(crate) fn write(self, w: &mut Writer) {
        w.unsigned(u64::from(self.0));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<MailTopics, Malformed> {
        const WHAT: Malformed = Malformed("the muted topics");
        let set = MailTopics(u16::try_from(r.unsigned("the muted topics")?).map_err(|_| WHAT)?);
        if set == set.iter().collect() { Ok(set) } else { Err(WHAT) }
    }
}

impl FromIterator<MailTopic> for MailTopics {
    fn from_iter<I: IntoIterator<Item = MailTopic>>(topics: I) -> MailTopics {
        topics.into_iter().fold(MailTopics::default(), |set, topic| set.with(topic, true))
    }
}

/// Why an address gets no mail any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailFault {
    /// Its server refuses it for good.
    Bounced,
    /// Its owner reported a mail as unwanted.
    Complained,
}

coded!(MailFault, "a fault of an address", {
    Bounced = 1 "bounced",
    Complained = 2 "complained",
});
