//! Recipients of mails: who is chosen, who gets a mail of a topic, and what is noted of addresses.

use super::check;
use super::world::World;
use crate::{
    MailTopic, MailTopics, Recipient, RecipientId, RecipientSubject, Team, TeamChange, Timestamp, bounds,
};

#[test]
fn mails_go_to_the_admins_until_somebody_is_chosen() {
    check(
        "
        mails balance.low => nobody
        join ada admin
        join bob member
        join cyd admin
        mails balance.low => ada, cyd
        mail_to bob => recipient.added
        mail_to bob => unchanged
        mails balance.low => bob
        mail_to eve => no member_not_found
        no_mail ada => unchanged
        no_mail eve => no member_not_found
        no_mail bob => recipient.removed
        mails balance.low => ada, cyd
        ",
    );
}

#[test]
fn a_typed_address_gets_mail_once_it_is_confirmed() {
    check(
        "
        join ada admin
        join bob admin
        mail_to ops@acme.example => recipient.added
        mail_to ops@acme.example => unchanged
        mails balance.refused => ada, bob
        confirmed a1 => recipient.confirmed
        confirmed a1 => unchanged
        confirmed a2 => no recipient_not_found
        mails balance.refused => a1
        mail_to bob
        mails balance.refused => a1, bob
        no_mail a1 => recipient.removed
        no_mail a1 => no recipient_not_found
        mails balance.refused => bob
        mail_to ops@acme.example => recipient.added
        confirmed a1 => no recipient_not_found
        mails balance.refused => bob
        confirmed a2
        mails balance.refused => bob, a2
        ",
    );
}

#[test]
fn a_muted_topic_is_left_out_and_a_critical_one_keeps_a_reader() {
    check(
        "
        join ada admin
        join bob admin
        mute ada balance.low => recipient.muted
        mute ada balance.low => unchanged
        unmute ada top_up => unchanged
        mails balance.low => bob
        mails top_up => ada, bob
        mute bob balance.low
        mails balance.low => nobody
        mute ada balance.refused
        mails balance.refused => bob
        mute bob balance.refused
        mails balance.refused => ada, bob
        unmute ada balance.refused => recipient.muted
        mails balance.refused => ada
        mute a1 balance.low => no recipient_not_found
        mute eve balance.low => no member_not_found
        ",
    );
}

#[test]
fn the_admins_stand_in_for_chosen_recipients_who_are_out_of_reach() {
    check(
        "
        join ada admin
        join bob member
        mail_to bob
        mute bob limit.reached
        mails limit.reached => ada
        mute ada limit.reached
        mails limit.reached => nobody
        mute bob debt
        mails debt => ada
        mute ada debt
        mails debt => bob
        fault bob bounced
        mails debt => ada
        mails balance.low => ada
        fault ada bounced
        mails debt => nobody
        ",
    );
}

#[test]
fn an_address_at_fault_gets_no_mail_until_it_changes() {
    check(
        "
        join ada admin
        join bob admin
        fault ada bounced => recipient.failed
        fault ada complained => unchanged
        mails recipient => bob
        change ada name=Augusta
        mails recipient => bob
        change ada email=augusta@example.com => member.changed
        mails recipient => ada, bob
        fault ada bounced of=ada@example.com => unchanged
        mails recipient => ada, bob
        mail_to ops@acme.example
        confirmed a1
        fault a1 complained => recipient.failed
        mails recipient => ada, bob
        fault a2 bounced => no recipient_not_found
        ",
    );
}

#[test]
fn a_member_who_leaves_is_forgotten_as_a_recipient() {
    let world = check(
        "
        join ada admin
        join bob member
        mail_to bob
        mute bob top_up
        leave bob
        mails top_up => ada
        join bob admin
        mails top_up => ada, bob
        mute bob top_up
        unmute bob top_up
        mail_to bob
        no_mail bob
        fault bob bounced
        change bob email=robert@example.com
        ",
    );
    assert!(world.account.team.recipients.is_empty(), "no row says anything");
}

#[test]
fn only_admins_change_recipients_and_only_the_platform_reports() {
    check(
        "
        join ada admin
        join bob member
        new_key manage
        mail_to bob by=ada => recipient.added
        mail_to ops@acme.example by=k1 => recipient.added
        mute bob balance.low by=ada => recipient.muted
        no_mail bob by=k1 => recipient.removed
        mail_to bob by=bob => no forbidden
        mute bob top_up by=bob => no forbidden
        confirmed a1 by=ada => no forbidden
        fault bob bounced by=k1 => no forbidden
        mailed bob by=ada => no forbidden
        mail_to bob by=eve => no unauthenticated
        elsewhere mail_to bob => no workspace_not_found
        ",
    );
}

#[test]
fn a_mail_is_noted_each_time_and_changes_nothing() {
    let before = check("join ada admin\nmail_to ops@acme.example").account.team;
    let world = check(
        "
        join ada admin
        mail_to ops@acme.example
        mailed a1 about=3 => mail.sent
        mailed ada balance.low about=1 => mail.sent
        mailed ada balance.low about=1 => mail.sent
        mailed gone balance.low => mail.sent
        mailed ada balance.low about=7 => mail.sent
        mailed ada balance.low about=9 => no invalid_field about
        ",
    );
    assert_eq!(world.account.team, before);
}

#[test]
fn twenty_recipients_can_be_chosen() {
    let mut script: String = (0..19).map(|n| format!("mail_to r{n}@acme.example\n")).collect();
    script += "
        join ada admin
        mail_to ada => recipient.added
        mail_to ada => unchanged
        mail_to r3@acme.example => unchanged
        mail_to one-more@acme.example => no invalid_field emails
        no_mail a5
        mail_to one-more@acme.example => recipient.added
        ";
    let world = check(&script);
    assert_eq!(world.account.team.recipients.len(), bounds::RECIPIENTS_MAX);
}

#[test]
fn the_text_of_a_typed_address_is_erased_with_it() {
    let world: World = check("mail_to ops@acme.example\nno_mail a1");
    let changes = world.journal.iter().filter_map(|(entry, _)| match &entry.body {
        crate::EntryBody::Team(change) => Some(&**change),
        _ => None,
    });
    let changes: Vec<&TeamChange> = changes.collect();
    let owner = world.addresses[0].owner();
    let (named, digests) = changes[0].texts().expect("it names the address");
    assert_eq!((&*named, digests.len()), (&owner, 1));
    assert_eq!(changes[1].erased_texts().as_deref(), Some(&owner));
    assert!(owner.as_str().starts_with("*rcp_"));
}

#[test]
fn the_bytes_of_a_team_without_recipients_are_read() {
    let team = check("join ada admin\nnew_key read").account.team;
    let mut bytes = Vec::new();
    team.encode(&mut bytes);
    // The format before had no list of recipients, which is empty here.
    assert_eq!((bytes[0], bytes.pop()), (3, Some(0)));
    bytes[0] = 2;
    assert_eq!(Team::decode(Some(&bytes)).as_ref(), Ok(&team));
    for other in [0, 1, 4] {
        bytes[0] = other;
        assert!(Team::decode(Some(&bytes)).is_err(), "format {other}");
    }
}

#[test]
fn a_team_with_too_many_chosen_recipients_is_not_read() {
    let mut team = Team::clone(&check("mail_to ops@acme.example").account.team);
    let row: Recipient = team.recipients[0].clone();
    let mut bytes = Vec::new();
    team.encode(&mut bytes);
    let list = bytes.len() - recipient_bytes(&row).len() - 1;
    assert_eq!(bytes[list], 1, "the list has one recipient");
    bytes[list] = 21;
    bytes.extend((0..20).flat_map(|_| recipient_bytes(&row)));
    assert!(Team::decode(Some(&bytes)).is_err());
    team.recipients.clear();
    assert!(team.is_empty());
}

fn recipient_bytes(row: &Recipient) -> Vec<u8> {
    let mut bytes = Vec::new();
    row.write(&mut crate::journal::codec::Writer(&mut bytes));
    bytes
}

#[test]
fn every_topic_has_a_name_and_a_place_in_the_set() {
    let mut set = MailTopics::default();
    for topic in MailTopic::ALL {
        assert_eq!(MailTopic::named(topic.as_str()), Some(topic));
        assert!(!set.contains(topic));
        set = set.with(topic, true);
    }
    assert_eq!(set.iter().collect::<Vec<_>>(), MailTopic::ALL);
    assert_eq!(set, MailTopic::ALL.into_iter().collect());
    let critical: Vec<&str> =
        MailTopic::ALL.into_iter().filter(|topic| topic.is_critical()).map(MailTopic::as_str).collect();
    assert_eq!(critical, ["balance.refused", "auto_top_up", "debt"]);
}

#[test]
fn a_subject_has_one_text() {
    let id = RecipientId(crate::Id::v7(Timestamp::ZERO.millis(), 0, 7));
    for (text, subject) in [
        ("member:ada".to_owned(), RecipientSubject::Member(crate::MemberId::known("ada"))),
        (id.to_string(), RecipientSubject::Address(id)),
        // A platform may name a member like an address.
        (format!("member:{id}"), RecipientSubject::Member(crate::MemberId::known(&id.to_string()))),
    ] {
        assert_eq!(subject.to_string(), text);
        assert_eq!(text.parse(), Ok(subject));
    }
    for wrong in ["", "ada", "member:", "member:a b", "member:*rcp_1", "rcp_1"] {
        assert_eq!(wrong.parse::<RecipientSubject>(), Err(()), "{wrong}");
    }
}
