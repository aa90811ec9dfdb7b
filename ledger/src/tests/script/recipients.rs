//! The lines of a script about recipients of mails, and how recipients are named: a member by its
//! id, a typed address `aN` in the order of adding.

use super::teams::text_of_person;
use super::{Words, index};
use crate::tests::world::World;
use crate::{
    Id, MailFault, MailTopic, MemberId, RecipientCommand, RecipientId, RecipientRequest, RecipientSubject,
    TeamCommand,
};

/// The command of a line that begins with one of the words of [`is_one`].
pub(super) fn command(world: &World, words: &Words) -> TeamCommand {
    let subject = || subject(world, words.bare[1]);
    let topic = |at: usize| words.bare.get(at).map(|name| topic(name));
    TeamCommand::Recipient(match words.bare[0] {
        "mail_to" if words.bare[1].contains('@') => {
            RecipientCommand::Choose(RecipientRequest::Address(text_of_person(words.bare[1])))
        }
        "mail_to" => RecipientCommand::Choose(RecipientRequest::Member(MemberId::known(words.bare[1]))),
        "no_mail" => RecipientCommand::Remove(subject()),
        "confirmed" => match subject() {
            RecipientSubject::Address(id) => RecipientCommand::Confirm(id),
            RecipientSubject::Member(_) => panic!("a member's address is not confirmed"),
        },
        "mute" | "unmute" => RecipientCommand::Mute {
            subject: subject(),
            topic: topic(2).expect("a topic"),
            muted: words.bare[0] == "mute",
        },
        "fault" => {
            let current = world.account.team.address_of(&subject()).unwrap_or_default();
            RecipientCommand::NoteFault {
                subject: subject(),
                address: words.text("of").map_or(current, |text| text_of_person(text).digest),
                fault: MailFault::named(words.bare[2]).expect("a fault"),
            }
        }
        _ => RecipientCommand::NoteMail {
            about: words.number::<i64>("about").unwrap_or(0).unsigned_abs(),
            topic: topic(2),
            subject: subject(),
        },
    })
}

/// True for the first word of a line about recipients.
pub(super) fn is_one(word: &str) -> bool {
    matches!(word, "mail_to" | "no_mail" | "confirmed" | "mute" | "unmute" | "fault" | "mailed")
}

fn topic(name: &str) -> MailTopic {
    MailTopic::named(name).unwrap_or_else(|| panic!("{name} is not a topic"))
}

fn subject(world: &World, name: &str) -> RecipientSubject {
    let is_address = name.strip_prefix('a').is_some_and(|number| number.parse::<u32>().is_ok());
    if !is_address {
        return RecipientSubject::Member(MemberId::known(name));
    }
    let known = world.addresses.get(index(name)).copied();
    RecipientSubject::Address(known.unwrap_or(RecipientId(Id::v7(0, 0, 0))))
}

/// Who gets a mail of a topic.
pub(super) fn mails(world: &World, name: &str) -> String {
    let name_of = |subject: &RecipientSubject| match subject {
        RecipientSubject::Member(member) => member.to_string(),
        RecipientSubject::Address(id) => {
            let index = world.addresses.iter().position(|known| known == id);
            format!("a{}", index.expect("every address was added by the script") + 1)
        }
    };
    let found = world.account.team.mail_recipients(topic(name));
    for to in &found {
        assert_eq!(world.account.team.address_of(&to.subject), Some(to.address));
        assert_eq!(to.subject.owner(), to.owner);
        assert_eq!(to.subject.to_string().parse(), Ok(to.subject.clone()));
    }
    let names: Vec<String> = found.iter().map(|to| name_of(&to.subject)).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
