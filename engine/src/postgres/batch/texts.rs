//! The texts about persons in a batch: loads what is stored of the members that its commands name,
//! and collects what its entries add and erase.
//!
//! The rows of the table `personal` change only with entries of their workspace. So what was loaded
//! belongs to the account in memory, or the guard of the batch fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tollkeeper_ledger::{
    Command, EntryBody, Hash, MemberId, PersonalText, Salt, Submission, TextsOfMember, Timestamp,
};

use super::accounts::Accounts;
use crate::Error;
use crate::personal::{StoredTexts, TextsInEntry, assert_digests, reuse_address, typed_addresses, verified};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, column, row_position};
use crate::postgres::database::sql::Sql;

/// A member of an account, identified within the current batch.
pub(crate) type MemberRef = (usize, MemberId);

/// What is stored of the members that commands of the batch name.
pub(crate) type LoadedTexts = HashMap<MemberRef, StoredTexts>;

/// A row of the table `personal` to insert.
#[derive(Debug)]
pub(crate) struct TextRow {
    /// The number of the entry that names the text.
    pub n: u64,
    /// `None` if it was erased.
    pub text: Option<PersonalText>,
}

/// What a batch changes in the table `personal`. The members are erased before rows are inserted.
#[derive(Debug, Default)]
pub(crate) struct TextWrites {
    pub erased: BTreeSet<MemberRef>,
    pub added: BTreeMap<(MemberRef, Hash), TextRow>,
}

impl TextWrites {
    fn erase(&mut self, member: &MemberRef) {
        let own = self.added.iter_mut().filter(|((of, _), _)| of == member);
        own.for_each(|(_, row)| row.text = None);
        self.erased.insert(member.clone());
    }

    /// Takes what an entry says. `given`: the texts that came with the command; a digest without
    /// one names a text that is stored already.
    pub(crate) fn note(
        &mut self,
        account_index: usize,
        (n, body): (u64, &EntryBody),
        given: &[PersonalText],
        loaded: &mut LoadedTexts,
    ) {
        match TextsInEntry::of(body) {
            None => {}
            Some(TextsInEntry::Named(member, digests)) => {
                let member = (account_index, member.into_owned());
                for text in given.iter().filter(|text| digests.contains(&text.digest)) {
                    let row = TextRow { n, text: Some(text.clone()) };
                    self.added.entry((member.clone(), text.digest)).or_insert(row);
                    loaded.entry(member.clone()).or_default().keep(text.clone());
                }
            }
            Some(TextsInEntry::Erased(member)) => {
                let member = (account_index, member.into_owned());
                self.erase(&member);
                loaded.entry(member).or_default().erase();
            }
        }
    }

    /// The same for an imported entry: a text that did not come with it was erased.
    pub(crate) fn note_imported(
        &mut self,
        account_index: usize,
        (n, body): (u64, &EntryBody),
        given: &[PersonalText],
    ) {
        match TextsInEntry::of(body) {
            None => {}
            Some(TextsInEntry::Named(member, digests)) => {
                for digest in digests {
                    let text = given.iter().find(|text| text.digest == digest).cloned();
                    let key = ((account_index, member.clone().into_owned()), digest);
                    self.added.entry(key).or_insert(TextRow { n, text });
                }
            }
            Some(TextsInEntry::Erased(member)) => self.erase(&(account_index, member.into_owned())),
        }
    }
}

/// Prepares a command: returns what is stored of the member that it names, and replaces each of its
/// texts that is the member's already by the stored one.
pub(super) fn prepare(
    command: &mut Command,
    accounts: &Accounts,
    account_index: usize,
    loaded: &LoadedTexts,
) -> TextsOfMember {
    if let Command::Team(team) = command {
        assert_digests(&team.texts());
    }
    let team = &accounts.get(account_index).account.team;
    let Some(id) = command.member_with_texts().cloned() else {
        let typed = typed_addresses(command, team).into_iter();
        let stored = typed.filter_map(|(owner, digest)| {
            let texts = &loaded.get(&(account_index, owner))?.current;
            texts.iter().find(|text| text.digest == digest).cloned()
        });
        let stored: Vec<PersonalText> = stored.collect();
        reuse_address(command, &stored);
        return TextsOfMember::Unknown;
    };
    let Some(stored) = loaded.get(&(account_index, id)) else { return TextsOfMember::Unknown };
    stored.reuse_in(command, team);
    stored.state
}

/// Loads what is stored of the members that commands of the batch name.
pub(super) async fn load(
    session: &DbSession,
    accounts: &mut Accounts,
    batch: &[(Submission, Timestamp)],
) -> Result<LoadedTexts, Failure> {
    let mut wanted = BTreeMap::<MemberRef, [Hash; 2]>::new();
    for (submission, _) in batch {
        let command = &submission.command;
        let brings_text = !command.texts().is_empty();
        if !brings_text && command.member_with_texts().is_none() {
            continue;
        }
        let Some(account_index) = accounts.touch(submission.workspace.as_str()) else { continue };
        for (owner, digest) in typed_addresses(command, &accounts.get(account_index).account.team) {
            wanted.insert((account_index, owner), [digest, [0; 32]]);
        }
        let Some(id) = command.member_with_texts() else { continue };
        let member = accounts.get(account_index).account.team.member(id);
        let digests = member.map_or([[0; 32]; 2], |member| [member.email, member.name]);
        wanted.insert((account_index, id.clone()), digests);
    }
    if wanted.is_empty() {
        return Ok(LoadedTexts::default());
    }
    let (mut workspaces, mut members) = (Vec::new(), Vec::new());
    let [mut emails, mut names] = [(); 2].map(|()| Vec::<Vec<u8>>::new());
    for ((account_index, id), [email, name]) in &wanted {
        workspaces.push(accounts.get(*account_index).account.profile.id.as_str().to_owned());
        members.push(id.as_str());
        emails.push(email.to_vec());
        names.push(name.to_vec());
    }
    let rows = session.query_with_timeout(Sql::TextsOf, &[&workspaces, &members, &emails, &names]).await?;
    let mut loaded = LoadedTexts::default();
    let wanted: Vec<(MemberRef, [Hash; 2])> = wanted.into_iter().collect();
    for row in &rows {
        let (member, digests) = &wanted[row_position(row, wanted.len())?];
        let state = match (column(row, 1)?, column(row, 2)?) {
            (true, _) => TextsOfMember::Kept,
            (false, true) => TextsOfMember::Erased,
            (false, false) => TextsOfMember::Unknown,
        };
        let mut current = Vec::new();
        for (first, digest) in [3, 5].into_iter().zip(digests) {
            let (salt, text): (Option<&[u8]>, Option<&[u8]>) = (column(row, first)?, column(row, first + 1)?);
            current.extend(stored_text(salt, text, digest));
        }
        loaded.insert(member.clone(), StoredTexts { state, current });
    }
    Ok(loaded)
}

/// The text of a row; `None` if it was erased, or is not the one that the digest stands for.
pub(crate) fn stored_text(salt: Option<&[u8]>, text: Option<&[u8]>, digest: &Hash) -> Option<PersonalText> {
    let (salt, text) = salt.zip(text)?;
    verified(std::str::from_utf8(text).ok()?, Salt::try_from(salt).ok()?, digest)
}

/// The 32 bytes of a column with a digest.
pub(crate) fn digest_of(bytes: &[u8]) -> Result<Hash, Error> {
    Hash::try_from(bytes).map_err(|_| Error::damaged("a digest has 32 bytes"))
}
