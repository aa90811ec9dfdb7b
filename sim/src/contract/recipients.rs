//! Clauses about the recipients of mails: an address is there once, and its text goes with it.

use tollkeeper_engine::{Output, Reads, personal_text};
use tollkeeper_ledger::{
    Actor, Command, Hash, MailFault, MailTo, MailTopic, MemberChanges, MemberId, MemberRequest,
    RecipientChange, RecipientCommand, RecipientId, RecipientRequest, RecipientSubject, Role, TeamChange,
    TeamCommand,
};
use tollkeeper_testkit::blocking::block_on;

use super::Store;
use super::test_client::{TestClient, acme, member, submission};

fn recipient(command: RecipientCommand) -> Command {
    Command::Team(TeamCommand::Recipient(command))
}

fn choose_address(text: &str, salt: u8) -> Command {
    recipient(RecipientCommand::Choose(RecipientRequest::Address(personal_text(text, [salt; 32]))))
}

fn remove(subject: RecipientSubject) -> Command {
    recipient(RecipientCommand::Remove(subject))
}

/// Adds an address and returns its id.
fn added(client: &TestClient, text: &str, salt: u8) -> RecipientId {
    let Output::Team(change) = client.accepted(choose_address(text, salt)) else {
        panic!("a recipient is answered by a team change")
    };
    let TeamChange::Recipient(RecipientChange::AddressAdded { id, .. }) = *change else {
        panic!("a recipient was answered by {change:?}")
    };
    id
}

/// A client of a workspace with the admin ada.
fn with_admin(store: &dyn Store) -> TestClient {
    let client = TestClient::with_credit(store, 1_000);
    let [email, name] =
        [("ada@acme.example", 1), ("ada", 2)].map(|(text, salt)| personal_text(text, [salt; 32]));
    let request = MemberRequest { id: member("ada"), email, name, role: Role::Admin };
    client.accepted(Command::Team(TeamCommand::AddMember(Box::new(request))));
    client
}

/// The addresses to which a mail about refused charges goes.
fn mails(client: &TestClient) -> Vec<Box<str>> {
    let to: Vec<MailTo> = client.team().mail_recipients(MailTopic::Refused);
    let wanted = to.iter().map(|to| (to.owner.clone(), to.address)).collect();
    texts(client, wanted).into_iter().map(|text| text.expect("a recipient has an address")).collect()
}

fn texts(client: &TestClient, wanted: Vec<(MemberId, Hash)>) -> Vec<Option<Box<str>>> {
    block_on(client.engine.personal_texts(&acme(), wanted)).expect("the engine reads")
}

pub(super) fn a_typed_address_is_there_once_and_goes_with_its_text(store: &dyn Store) {
    let client = with_admin(store);
    let ops = added(&client, "ops@acme.example", 10);
    let before = client.entry_count();
    client.accepted(choose_address("ops@acme.example", 11));
    assert_eq!(client.entry_count(), before, "the same address with another salt writes no entry");
    assert_eq!(*mails(&client), ["ada@acme.example".into()], "nobody has confirmed it");
    client.accepted(recipient(RecipientCommand::Confirm(ops)));
    let client = client.restarted(store);
    assert_eq!(*mails(&client), ["ops@acme.example".into()]);
    client.accepted(choose_address("ops@acme.example", 12));
    let cfo = added(&client, "cfo@acme.example", 13);
    client.accepted(recipient(RecipientCommand::Confirm(cfo)));
    assert_eq!(*mails(&client), ["ops@acme.example".into(), "cfo@acme.example".into()]);

    let digests = [10, 13].map(|salt| {
        let text = if salt == 10 { "ops@acme.example" } else { "cfo@acme.example" };
        personal_text(text, [salt; 32]).digest
    });
    client.accepted(remove(RecipientSubject::Address(ops)));
    assert_eq!(client.refused(remove(RecipientSubject::Address(ops))), "recipient_not_found");
    let mut client = client;
    for _ in 0..2 {
        let wanted = vec![(ops.owner(), digests[0]), (cfo.owner(), digests[1])];
        assert_eq!(texts(&client, wanted), [None, Some("cfo@acme.example".into())]);
        assert_eq!(*mails(&client), ["cfo@acme.example".into()]);
        client = client.restarted(store);
    }
    let again = added(&client, "ops@acme.example", 14);
    assert!(again != ops, "an address that was added again is another recipient");
    assert_eq!(*mails(&client), ["cfo@acme.example".into()], "it is to be confirmed again");
}

pub(super) fn recipients_change_within_one_batch(store: &dyn Store) {
    let client = with_admin(store);
    let choose = |salt| submission(acme(), None, choose_address("ops@acme.example", salt));
    let before = client.entry_count();
    assert_eq!(client.codes(vec![choose(20), choose(21), choose(22)]), ["yes"; 3]);
    assert_eq!(client.entry_count(), before + 1, "the second and the third change nothing");
    let id = match client.team().recipients[0].subject {
        RecipientSubject::Address(id) => id,
        RecipientSubject::Member(_) => panic!("an address was added"),
    };
    let run = |command| submission(acme(), None, command);
    let subject = RecipientSubject::Address(id);
    let batch = vec![
        run(recipient(RecipientCommand::Confirm(id))),
        run(remove(subject.clone())),
        choose(23),
        choose(24),
        run(recipient(RecipientCommand::Confirm(id))),
    ];
    assert_eq!(client.codes(batch), ["yes", "yes", "yes", "yes", "recipient_not_found"]);
    let client = client.restarted(store);
    let team = client.team();
    assert_eq!(team.recipients.len(), 1);
    assert!(team.recipients[0].subject != subject && team.recipients[0].confirmed_at.is_none());
    let owner = team.recipients[0].subject.owner();
    let digests = [20, 23].map(|salt| personal_text("ops@acme.example", [salt; 32]).digest);
    let wanted = vec![(id.owner(), digests[0]), (owner, digests[1])];
    assert_eq!(texts(&client, wanted), [None, Some("ops@acme.example".into())]);
}

pub(super) fn what_became_of_mails_is_noted(store: &dyn Store) {
    let client = with_admin(store);
    let ada = RecipientSubject::Member(member("ada"));
    let sent = RecipientCommand::NoteMail { about: 1, topic: Some(MailTopic::Low), subject: ada.clone() };
    let before = client.entry_count();
    client.accepted(recipient(sent.clone()));
    client.accepted(recipient(sent.clone()));
    assert_eq!(client.entry_count(), before + 2, "each mail is an entry");
    let by_ada = client.submit_as(Actor::Member(member("ada")), recipient(sent));
    assert_eq!(by_ada.expect_err("only the server says so").code(), "forbidden");

    let address = client.team().members[0].email;
    let failed = |address| {
        let (subject, fault) = (ada.clone(), MailFault::Bounced);
        recipient(RecipientCommand::NoteFault { subject, address, fault })
    };
    client.accepted(failed([7; 32]));
    assert_eq!(*mails(&client), ["ada@acme.example".into()], "it was another address");
    client.accepted(failed(address));
    let at = client.now;
    let client = client.restarted(store);
    assert!(mails(&client).is_empty());
    assert_eq!(client.team().recipients[0].fault, Some((MailFault::Bounced, at)));
    let muted = RecipientCommand::Mute { subject: ada, topic: MailTopic::Low, muted: true };
    client.accepted(recipient(muted));
    let mut client = client.restarted(store);
    assert!(client.team().recipients[0].muted.contains(MailTopic::Low));
    let enter_again = |text: &str, salt| {
        let email = Some(personal_text(text, [salt; 32]));
        let changes = MemberChanges { email, ..MemberChanges::default() };
        Command::Team(TeamCommand::ChangeMember(member("ada"), Box::new(changes)))
    };
    let written = client.entry_count();
    for salt in [30, 31] {
        client.accepted(enter_again("ada@acme.example", salt));
        assert_eq!(client.entry_count(), written + 1, "it works again, which is said once");
        assert_eq!(*mails(&client), ["ada@acme.example".into()]);
        client = client.restarted(store);
    }
}
