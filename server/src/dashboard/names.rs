//! The names of members and API keys, for texts about them. Names of erased members are gone; the
//! id stands for them.

use std::collections::{BTreeMap, HashMap};

use tollkeeper_ledger::{ApiKeyId, MemberId, Team, WorkspaceId};

use crate::http::call::{Call, personal_texts};
use crate::http::problem::Problem;

/// The names of some members and of all API keys.
#[derive(Debug, Default)]
pub struct Names {
    members: HashMap<MemberId, Box<str>>,
    keys: BTreeMap<ApiKeyId, Box<str>>,
}

impl Names {
    /// The names of those members that are wanted, and of all keys.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn read(
        call: &Call,
        workspace: &WorkspaceId,
        team: &Team,
        is_wanted: impl Fn(&MemberId) -> bool,
    ) -> Result<Names, Problem> {
        let wanted: Vec<_> = team.members.iter().filter(|member| is_wanted(&member.id)).collect();
        let digests = wanted.iter().map(|member| (member.id.clone(), member.name)).collect();
        let texts = personal_texts(&call.app, workspace, digests).await?;
        let named =
            wanted.iter().filter_map(|member| Some((member.id.clone(), texts.get(&member.name)?.clone())));
        Ok(Names {
            members: named.collect(),
            keys: team.keys.iter().map(|key| (key.id, key.name.clone())).collect(),
        })
    }

    /// The name of a member, or the id.
    pub fn member<'a>(&'a self, id: &'a MemberId) -> &'a str {
        self.members.get(id).map_or(id.as_str(), |name| &**name)
    }

    /// The name of a key; the id of one that was revoked.
    pub fn key(&self, id: ApiKeyId) -> String {
        self.keys.get(&id).map_or_else(|| id.to_string(), |name| name.to_string())
    }
}
