//! The ids of mails. That of a mail about an entry is made from the hash of the entry and the
//! recipient, so it is the same at every attempt and after a crash.

use sha2::{Digest, Sha256};
use tollkeeper_ledger::{Hash, hex};

/// How many hexadecimal digits of the digest an id has.
const ID_DIGITS: usize = 32;

fn id(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // The length before each part keeps two lists of parts apart.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest: Hash = digest.finalize().into();
    format!("mail.{}", &hex(&digest)[..ID_DIGITS])
}

/// The id of the mail about an entry to a recipient.
pub(super) fn of_mail(entry: &Hash, recipient: &str) -> String {
    id(&[entry, recipient.as_bytes()])
}

/// The id that stands for all mails about an entry.
pub(super) fn of_entry(entry: &Hash) -> String {
    id(&[entry])
}

/// The id of a mail about no entry. `about` makes it its own.
pub(super) fn of_other(about: &str, recipient: &str) -> String {
    id(&[about.as_bytes(), recipient.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mail_has_an_id_of_its_own_and_keeps_it() {
        let (one, other) = ([1; 32], [2; 32]);
        let ids = [
            of_mail(&one, "member:ada"),
            of_mail(&one, "member:bob"),
            of_mail(&other, "member:ada"),
            of_entry(&one),
            of_entry(&other),
            of_other("test", "member:ada"),
            of_other("testm", "ember:ada"),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{id}");
            assert_eq!((id.len(), &id[..5]), (5 + ID_DIGITS, "mail."));
        }
        assert_eq!(of_mail(&one, "member:ada"), ids[0]);
    }
}
