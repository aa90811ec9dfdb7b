//! The names of members and API keys, as pages show them. A member whose name was erased, and one
//! who was never added, has the id instead; so has an API key that was revoked.

use std::collections::{BTreeMap, BTreeSet};

use tollkeeper_ledger::{ApiKeyId, Member, MemberId, Spender, Team, WorkspaceId};

use crate::http::call::Call;
use crate::http::problem::Problem;

/// The names of some members and of all API keys of a workspace.
#[derive(Debug, Default)]
pub struct Names {
    members: BTreeMap<MemberId, Box<str>>,
    keys: BTreeMap<ApiKeyId, Box<str>>,
}

impl Names {
    /// The names of those members of a team that are wanted, and of all API keys.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn read(
        call: &Call,
        workspace: &WorkspaceId,
        team: &Team,
        is_wanted: impl Fn(&MemberId) -> bool,
    ) -> Result<Names, Problem> {
        let members: Vec<&Member> = team.members.iter().filter(|member| is_wanted(&member.id)).collect();
        let texts = call.personal_texts(workspace, members.iter().copied()).await?;
        let named = members.iter().filter_map(|member| {
            let name = texts.get(&member.name).filter(|name| !name.is_empty())?;
            Some((member.id.clone(), name.clone()))
        });
        Ok(Names {
            members: named.collect(),
            keys: team.keys.iter().map(|key| (key.id, key.name.clone())).collect(),
        })
    }

    /// The names of these members, and of all API keys.
    ///
    /// # Errors
    /// The engine cannot read.
    pub async fn of(
        call: &Call,
        workspace: &WorkspaceId,
        wanted: BTreeSet<MemberId>,
    ) -> Result<Names, Problem> {
        let team = call.team(workspace).await?;
        Names::read(call, workspace, &team, |member| wanted.contains(member)).await
    }

    /// The name of a member, or the id.
    pub fn member<'a>(&'a self, id: &'a MemberId) -> &'a str {
        self.members.get(id).map_or(id.as_str(), |name| &**name)
    }

    /// The name of an API key, or the id.
    pub fn key(&self, id: ApiKeyId) -> String {
        self.keys.get(&id).map_or_else(|| id.to_string(), |name| name.to_string())
    }

    /// Who used an operation: the member and the worker, else the API key; `None` if the charge
    /// names nobody.
    pub fn who(&self, spender: &Spender) -> Option<String> {
        let Spender { operation: _, worker, member, api_key } = spender;
        let member = member.as_ref().map(|member| self.member(member).to_owned());
        let worker = worker.as_ref().map(ToString::to_string);
        match (member, worker) {
            (Some(member), Some(worker)) => Some(format!("{member}, {worker}")),
            (None, None) => api_key.map(|key| self.key(key)),
            (one, other) => one.or(other),
        }
    }
}
