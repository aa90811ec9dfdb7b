//! The words of the test scripts about members, API keys, links and sessions.

use super::{Words, api_key, index};
use crate::tests::world::World;
use crate::{
    ApiKeyRequest, Id, LinkRequest, MemberChanges, MemberId, MemberRequest, PersonalText, Role, Scope,
    SessionId, TeamCommand, WorkerId,
};

fn role(text: &str) -> Role {
    if text == "admin" { Role::Admin } else { Role::Member }
}

/// A text with a digest that stands for it, as if all texts had one salt.
pub(super) fn text_of_person(text: &str) -> PersonalText {
    let mut digest = [0; 32];
    for (index, byte) in text.bytes().enumerate() {
        digest[index % 32] = u8::wrapping_mul(digest[index % 32], 31) ^ byte;
    }
    PersonalText { text: text.into(), salt: [0; 32], digest }
}

pub(super) fn command(world: &World, words: &Words) -> TeamCommand {
    let member = || MemberId::known(words.bare[1]);
    let session = || world.links.get(index(words.bare[1])).copied().unwrap_or(SessionId(Id::v7(0, 0, 0)));
    let lasts = |otherwise| words.number("expires").unwrap_or(otherwise);
    // A script's secret is the number of the key or link that it opens.
    let hash = |name: &str, kind: u8| {
        let mut hash = [kind; 32];
        hash[..8].copy_from_slice(&index(name).to_le_bytes());
        hash
    };
    match words.bare[0] {
        "join" => TeamCommand::AddMember(Box::new(MemberRequest {
            id: member(),
            email: text_of_person(&format!("{}@example.com", words.bare[1])),
            name: text_of_person(words.bare[1]),
            role: role(words.bare[2]),
        })),
        "change" => {
            let [email, name] = ["email", "name"].map(|field| words.text(field).map(text_of_person));
            let changes = MemberChanges { email, name, role: words.text("role").map(role) };
            TeamCommand::ChangeMember(member(), Box::new(changes))
        }
        "leave" => TeamCommand::RemoveMember(member()),
        "erase" => TeamCommand::EraseMember(member()),
        "new_key" => TeamCommand::CreateKey(ApiKeyRequest {
            name: "a key".into(),
            scopes: Scope::ALL.into_iter().filter(|scope| words.bare[1].contains(scope.as_str())).collect(),
            member: words.text("member").map(MemberId::known),
            worker: words.text("worker").map(WorkerId::known),
            expires_at: words.number::<i64>("expires").map(|later| world.now.plus_seconds(later)),
            hash: hash(&format!("k{}", world.keys.len() + 1), 1),
        }),
        "revoke" => TeamCommand::RevokeKey(api_key(world, words.bare[1])),
        "note" => TeamCommand::RecordKeyUse(api_key(world, words.bare[1])),
        "link" => TeamCommand::CreateLink(LinkRequest {
            member: member(),
            hash: hash(&format!("l{}", world.links.len() + 1), 2),
            return_url: None,
            valid_for_seconds: lasts(600),
        }),
        "sign_in" => TeamCommand::SignIn {
            link: hash(words.bare[1], 2),
            session: hash(words.bare[1], 3),
            valid_for_seconds: lasts(3_600),
        },
        "sign_out" => TeamCommand::SignOut(session()),
        "sign_out_all" => TeamCommand::SignOutAll(words.bare.get(1).map(|name| MemberId::known(name))),
        other => panic!("{other} is not a command of a script"),
    }
}
