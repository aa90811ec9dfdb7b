//! Who gets the e-mails of a workspace: the recipients that its admins chose, or its admins.
//!
//! A recipient is a member, or an address that was typed. A typed address gets mail once it was
//! confirmed; the address of a member counts as confirmed. A recipient may mute a topic, and one
//! whose address refused a mail gets none. The row of a member exists only if it says something:
//! that the member is chosen, has muted a topic or is at fault.
//!
//! Of a typed address only the digest is here (see `personal`). The text is stored beside the
//! journal under a member's id that no caller can choose ([`RecipientId::owner`]). What is decided
//! is in `decide::recipients`, the topics are in `mail_topic`. What a mail says and how it is sent
//! are not here.

use std::fmt;
use std::str::FromStr;

use super::Team;
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{
    Hash, Kind, MailFault, MailTopic, MailTopics, Member, MemberId, PersonalText, RecipientId, Role,
    Timestamp, bounds,
};

/// Who may get mail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecipientSubject {
    /// A member, at the member's address.
    Member(MemberId),
    /// A typed address.
    Address(RecipientId),
}

/// Before the id of a member in the text of a subject.
const MEMBER: &str = "member:";

/// `member:ada` or `rcp_…`.
impl fmt::Display for RecipientSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecipientSubject::Member(member) => write!(f, "{MEMBER}{member}"),
            RecipientSubject::Address(id) => write!(f, "{id}"),
        }
    }
}

impl FromStr for RecipientSubject {
    type Err = ();
    fn from_str(text: &str) -> Result<RecipientSubject, ()> {
        match text.strip_prefix(MEMBER) {
            Some(member) => MemberId::new(member).map(RecipientSubject::Member).map_err(|_| ()),
            None => text.parse().map(RecipientSubject::Address),
        }
    }
}

impl RecipientSubject {
    /// The member under whose id the text of the address is stored beside the journal.
    #[must_use]
    pub fn owner(&self) -> MemberId {
        match self {
            RecipientSubject::Member(member) => member.clone(),
            RecipientSubject::Address(id) => id.owner(),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            RecipientSubject::Member(member) => {
                w.byte(1);
                w.text(member.as_str());
            }
            RecipientSubject::Address(id) => {
                w.byte(2);
                w.id(id.0);
            }
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<RecipientSubject, Malformed> {
        Ok(match r.byte("a recipient")? {
            1 => RecipientSubject::Member(MemberId::known(r.text("a recipient")?)),
            2 => RecipientSubject::Address(RecipientId(r.id("a recipient")?)),
            _ => return Err(Malformed("a recipient")),
        })
    }
}

impl RecipientId {
    /// The owner of the stored text of a typed address. It begins with `*`, so that no caller can
    /// name it.
    #[must_use]
    pub fn owner(self) -> MemberId {
        let owner = format!("*{self}");
        assert!(MemberId::new(&owner).is_err(), "a caller must not be able to name the owner of an address");
        MemberId::known(&owner)
    }
}

/// What is kept of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The member or the typed address.
    pub subject: RecipientSubject,
    /// The digest of a typed address; that of a member's is in the [`Member`].
    pub address: Option<Hash>,
    /// True if admins chose the recipient. A typed address is always chosen.
    pub is_chosen: bool,
    /// The time at which a typed address was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// The topics of which the recipient gets no mail.
    pub muted: MailTopics,
    /// Why the address gets no mail any more, and since when.
    pub fault: Option<(MailFault, Timestamp)>,
    /// The time at which the row was created.
    pub created_at: Timestamp,
}

impl Recipient {
    fn new(subject: RecipientSubject, address: Option<Hash>, at: Timestamp) -> Recipient {
        assert!(
            address.is_some() == matches!(subject, RecipientSubject::Address(_)),
            "a typed address must have a digest, and a member has it in the team"
        );
        Recipient {
            is_chosen: address.is_some(),
            subject,
            address,
            confirmed_at: None,
            muted: MailTopics::default(),
            fault: None,
            created_at: at,
        }
    }

    /// True if mails may be sent to the address: it is a member's or was confirmed.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.address.is_none() || self.confirmed_at.is_some()
    }

    /// True if the row of a member says nothing.
    fn is_idle(&self) -> bool {
        !self.is_chosen && self.muted.is_empty() && self.fault.is_none()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let Recipient { subject, address, is_chosen, confirmed_at, muted, fault, created_at } = self;
        subject.write(w);
        if let Some(address) = address {
            w.raw(address);
        }
        w.flag(*is_chosen);
        w.maybe_signed(confirmed_at.map(Timestamp::millis));
        muted.write(w);
        w.byte(fault.map_or(0, |(fault, _)| fault.code()));
        if let Some((_, since)) = fault {
            w.time(*since);
        }
        w.time(*created_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Recipient, Malformed> {
        let subject = RecipientSubject::read(r)?;
        Ok(Recipient {
            address: match subject {
                RecipientSubject::Member(_) => None,
                RecipientSubject::Address(_) => Some(r.hash("the digest of an address")?),
            },
            subject,
            is_chosen: r.flag("a chosen recipient")?,
            confirmed_at: r.maybe_signed("a confirmation")?.map(Timestamp::from_millis),
            muted: MailTopics::read(r)?,
            fault: match r.byte("a fault of an address")? {
                0 => None,
                code => Some((MailFault::from_code(code)?, r.time("a fault of an address")?)),
            },
            created_at: r.time("a recipient's beginning")?,
        })
    }
}

/// A recipient to be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientRequest {
    /// A member.
    Member(MemberId),
    /// A typed address. If it is that of a recipient, it must have its salt.
    Address(PersonalText),
}

/// What can be asked about recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientCommand {
    /// Chooses a recipient.
    Choose(RecipientRequest),
    /// Removes a recipient from those that were chosen, and erases a typed address.
    Remove(RecipientSubject),
    /// Confirms a typed address; sent by the server when its owner follows the link.
    Confirm(RecipientId),
    /// Mutes a topic for a recipient, or ends that.
    Mute {
        /// The recipient; any member can be one.
        subject: RecipientSubject,
        /// The topic.
        topic: MailTopic,
        /// True to send no mail of the topic.
        muted: bool,
    },
    /// Notes that an address refuses mail; sent by the server.
    NoteFault {
        /// The recipient.
        subject: RecipientSubject,
        /// The digest of the address that refused. A fault of an earlier address changes nothing.
        address: Hash,
        /// Why no mail goes there.
        fault: MailFault,
    },
    /// Notes that a mail was accepted for a recipient; sent by the server. It is always an entry.
    NoteMail {
        /// The number of the entry that the mail was about; 0 if it was about none of this journal.
        about: u64,
        /// The topic; `None` for a request to confirm an address and for a trial.
        topic: Option<MailTopic>,
        /// The recipient.
        subject: RecipientSubject,
    },
}

impl RecipientCommand {
    /// True if only the platform, the server included, may ask for it.
    pub(crate) fn is_reported(&self) -> bool {
        match self {
            RecipientCommand::Choose(_) | RecipientCommand::Remove(_) | RecipientCommand::Mute { .. } => {
                false
            }
            RecipientCommand::Confirm(_)
            | RecipientCommand::NoteFault { .. }
            | RecipientCommand::NoteMail { .. } => true,
        }
    }
}

/// What happened to recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientChange {
    /// A member was chosen.
    MemberAdded(MemberId),
    /// A typed address was added.
    AddressAdded {
        /// Its id.
        id: RecipientId,
        /// The digest of the address.
        address: Hash,
    },
    /// A recipient was removed from those that were chosen. The text of a typed address was erased.
    Removed(RecipientSubject),
    /// A typed address was confirmed.
    Confirmed(RecipientId),
    /// The muted topics of a recipient were changed.
    Muted {
        /// The recipient.
        subject: RecipientSubject,
        /// All topics that are muted now.
        muted: MailTopics,
    },
    /// An address refused a mail, and gets none any more.
    Failed {
        /// The recipient.
        subject: RecipientSubject,
        /// Why no mail goes there.
        fault: MailFault,
    },
    /// A mail was accepted for a recipient. It changes no state.
    MailSent {
        /// The number of the entry that the mail was about; 0 if it was about none of this journal.
        about: u64,
        /// The topic; `None` for a request to confirm an address and for a trial.
        topic: Option<MailTopic>,
        /// The recipient.
        subject: RecipientSubject,
    },
}

impl RecipientChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            RecipientChange::MemberAdded(_) | RecipientChange::AddressAdded { .. } => Kind::RecipientAdded,
            RecipientChange::Removed(_) => Kind::RecipientRemoved,
            RecipientChange::Confirmed(_) => Kind::RecipientConfirmed,
            RecipientChange::Muted { .. } => Kind::RecipientMuted,
            RecipientChange::Failed { .. } => Kind::RecipientFailed,
            RecipientChange::MailSent { .. } => Kind::MailSent,
        }
    }

    /// The recipient that the change is about.
    #[must_use]
    pub fn subject(&self) -> RecipientSubject {
        match self {
            RecipientChange::MemberAdded(member) => RecipientSubject::Member(member.clone()),
            RecipientChange::AddressAdded { id, .. } | RecipientChange::Confirmed(id) => {
                RecipientSubject::Address(*id)
            }
            RecipientChange::Removed(subject)
            | RecipientChange::Muted { subject, .. }
            | RecipientChange::Failed { subject, .. }
            | RecipientChange::MailSent { subject, .. } => subject.clone(),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            RecipientChange::MemberAdded(_) | RecipientChange::Removed(_) => self.subject().write(w),
            RecipientChange::AddressAdded { address, .. } => {
                self.subject().write(w);
                w.raw(address);
            }
            RecipientChange::Confirmed(id) => w.id(id.0),
            RecipientChange::Muted { subject, muted } => {
                subject.write(w);
                muted.write(w);
            }
            RecipientChange::Failed { subject, fault } => {
                subject.write(w);
                w.byte(fault.code());
            }
            RecipientChange::MailSent { about, topic, subject } => {
                w.unsigned(*about);
                w.byte(topic.map_or(0, MailTopic::code));
                subject.write(w);
            }
        }
    }

    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<RecipientChange, Malformed> {
        Ok(match kind {
            Kind::RecipientAdded => match RecipientSubject::read(r)? {
                RecipientSubject::Member(member) => RecipientChange::MemberAdded(member),
                RecipientSubject::Address(id) => {
                    RecipientChange::AddressAdded { id, address: r.hash("the digest of an address")? }
                }
            },
            Kind::RecipientRemoved => RecipientChange::Removed(RecipientSubject::read(r)?),
            Kind::RecipientConfirmed => RecipientChange::Confirmed(RecipientId(r.id("a recipient")?)),
            Kind::RecipientMuted => {
                RecipientChange::Muted { subject: RecipientSubject::read(r)?, muted: MailTopics::read(r)? }
            }
            Kind::RecipientFailed => RecipientChange::Failed {
                subject: RecipientSubject::read(r)?,
                fault: MailFault::from_code(r.byte("a fault of an address")?)?,
            },
            Kind::MailSent => RecipientChange::MailSent {
                about: r.unsigned("what a mail was about")?,
                topic: match r.byte("a topic of mails")? {
                    0 => None,
                    code => Some(MailTopic::from_code(code)?),
                },
                subject: RecipientSubject::read(r)?,
            },
            _ => return Err(Malformed("a change of recipients")),
        })
    }
}

/// Where a mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailTo {
    /// The recipient.
    pub subject: RecipientSubject,
    /// The digest of the address.
    pub address: Hash,
    /// The member under whose id the text of the address is stored beside the journal.
    pub owner: MemberId,
}

/// A recipient that may be chosen, and what decides whether a mail goes there.
struct Candidate {
    to: MailTo,
    is_muted: bool,
    is_at_fault: bool,
}

impl Team {
    /// The row of a recipient, if there is one.
    #[must_use]
    pub fn recipient(&self, subject: &RecipientSubject) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.subject == *subject)
    }

    /// The digest of the address of a recipient: of a member, or of a typed address.
    #[must_use]
    pub fn address_of(&self, subject: &RecipientSubject) -> Option<Hash> {
        match subject {
            RecipientSubject::Member(member) => self.member(member).map(|member| member.email),
            RecipientSubject::Address(_) => self.recipient(subject).and_then(|row| row.address),
        }
    }

    /// Who gets a mail of a topic.
    ///
    /// If admins chose recipients, these are the candidates, without typed addresses that were not
    /// confirmed. Else all admins are. Of the candidates, those get the mail who have not muted the
    /// topic and whose address is not at fault. If nobody is left of chosen ones, the admins are
    /// asked in the same way. If nobody is left at all, a critical topic goes to those who muted
    /// it: of the chosen, or else of the admins. An address at fault never gets a mail.
    #[must_use]
    pub fn mail_recipients(&self, topic: MailTopic) -> Vec<MailTo> {
        let has_chosen = self.recipients.iter().any(|recipient| recipient.is_chosen);
        let chosen = if has_chosen { self.chosen(topic) } else { Vec::new() };
        let admins = self.members.iter().filter(|member| member.role == Role::Admin);
        let admins: Vec<Candidate> = admins.map(|member| self.member_as_candidate(member, topic)).collect();
        let pick = |allows_muted: bool| {
            [&chosen, &admins].into_iter().find_map(|candidates| {
                let reachable = candidates.iter().filter(|candidate| !candidate.is_at_fault);
                let willing = reachable.filter(|candidate| allows_muted || !candidate.is_muted);
                let found: Vec<MailTo> = willing.map(|candidate| candidate.to.clone()).collect();
                (!found.is_empty()).then_some(found)
            })
        };
        let found = pick(false).or_else(|| if topic.is_critical() { pick(true) } else { None });
        let found = found.unwrap_or_default();
        for to in &found {
            let fault = self.recipient(&to.subject).and_then(|row| row.fault);
            assert!(fault.is_none(), "a mail must not go to an address at fault");
        }
        found
    }

    /// The recipients that were chosen and may get mail.
    fn chosen(&self, topic: MailTopic) -> Vec<Candidate> {
        let chosen = self.recipients.iter().filter(|row| row.is_chosen && row.is_confirmed());
        let candidates = chosen.filter_map(|row| {
            Some(Candidate {
                to: MailTo {
                    address: self.address_of(&row.subject)?,
                    owner: row.subject.owner(),
                    subject: row.subject.clone(),
                },
                is_muted: row.muted.contains(topic),
                is_at_fault: row.fault.is_some(),
            })
        });
        candidates.collect()
    }

    fn member_as_candidate(&self, member: &Member, topic: MailTopic) -> Candidate {
        let subject = RecipientSubject::Member(member.id.clone());
        let row = self.recipient(&subject);
        Candidate {
            is_muted: row.is_some_and(|row| row.muted.contains(topic)),
            is_at_fault: row.is_some_and(|row| row.fault.is_some()),
            to: MailTo { subject, address: member.email, owner: member.id.clone() },
        }
    }

    /// The number of recipients that were chosen.
    pub(crate) fn chosen_count(&self) -> usize {
        self.recipients.iter().filter(|recipient| recipient.is_chosen).count()
    }

    /// Applies an entry about recipients.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the team as it is.
    pub(super) fn apply_to_recipients(
        &mut self,
        change: &RecipientChange,
        at: Timestamp,
    ) -> Result<(), Violation> {
        const MISSING: Violation = Violation("a recipient is changed that does not exist");
        match change {
            RecipientChange::MemberAdded(member) => {
                self.may_choose_another()?;
                let row = self.row_of(&RecipientSubject::Member(member.clone()), at)?;
                ensure(!row.is_chosen, "a recipient is chosen twice")?;
                row.is_chosen = true;
            }
            RecipientChange::AddressAdded { id, address } => {
                self.may_choose_another()?;
                let subject = RecipientSubject::Address(*id);
                ensure(self.recipient(&subject).is_none(), "a recipient is added that exists already")?;
                self.recipients.push(Recipient::new(subject, Some(*address), at));
            }
            RecipientChange::Removed(subject) => {
                let row = self.recipients.iter_mut().find(|row| row.subject == *subject && row.is_chosen);
                row.ok_or(MISSING)?.is_chosen = false;
                if matches!(subject, RecipientSubject::Address(_)) {
                    self.recipients.retain(|row| row.subject != *subject);
                }
            }
            RecipientChange::Confirmed(id) => {
                let subject = RecipientSubject::Address(*id);
                let row = self.recipients.iter_mut().find(|row| row.subject == subject).ok_or(MISSING)?;
                ensure(row.confirmed_at.is_none(), "an address is confirmed twice")?;
                row.confirmed_at = Some(at);
            }
            RecipientChange::Muted { subject, muted } => {
                let row = self.row_of(subject, at)?;
                ensure(row.muted != *muted, "the muted topics are changed to what they were")?;
                row.muted = *muted;
            }
            RecipientChange::Failed { subject, fault } => {
                let row = self.row_of(subject, at)?;
                ensure(row.fault.is_none(), "an address is at fault twice")?;
                row.fault = Some((*fault, at));
            }
            RecipientChange::MailSent { .. } => {}
        }
        self.recipients.retain(|row| !row.is_idle());
        Ok(())
    }

    fn may_choose_another(&self) -> Result<(), Violation> {
        ensure(
            self.chosen_count() < bounds::RECIPIENTS_MAX,
            "a team has more chosen recipients than it may have",
        )
    }

    /// The row of a recipient; that of a member is created if there is none.
    fn row_of(&mut self, subject: &RecipientSubject, at: Timestamp) -> Result<&mut Recipient, Violation> {
        ensure(self.address_of(subject).is_some(), "a recipient is changed that does not exist")?;
        let index = match self.recipients.iter().position(|row| row.subject == *subject) {
            Some(index) => index,
            None => {
                self.recipients.push(Recipient::new(subject.clone(), None, at));
                self.recipients.len() - 1
            }
        };
        Ok(&mut self.recipients[index])
    }

    /// The address of a member has changed: what was wrong with the one before counts no more.
    pub(super) fn clear_fault(&mut self, member: &MemberId) {
        let subject = RecipientSubject::Member(member.clone());
        self.recipients.iter_mut().filter(|row| row.subject == subject).for_each(|row| row.fault = None);
        self.recipients.retain(|row| !row.is_idle());
    }

    /// A member left the team and gets no mail.
    pub(super) fn remove_recipient(&mut self, member: &MemberId) {
        let subject = RecipientSubject::Member(member.clone());
        self.recipients.retain(|row| row.subject != subject);
        assert!(self.recipient(&subject).is_none(), "a member who left must not be a recipient");
    }
}
