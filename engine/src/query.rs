//! Reads: a closed list of questions ([`Query`]), their answers ([`QueryResult`]), and a typed
//! method for each ([`Reads`]).
//!
//! A read passes an engine as one value. So each engine has one match from a query to the function
//! that answers it, and a decorator (a retrying client, a stub) passes all reads on with one
//! method. To add a report: a variant of [`Query`] and of [`QueryResult`], a method of [`Reads`],
//! and one function per engine.
//!
//! Every answer shows committed state only. Errors are [`Error::is_unavailable`] when the store
//! cannot be read now, [`Error::is_damaged`] when it is not what was written, and
//! [`Error::is_bad_cursor`] for a cursor that is not of that list.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use tollkeeper_ledger::{
    Alerts, Charge, ChargeId, Hash, Limits, MemberId, Payments, PeriodWindows, Platform, Profile, Team,
    Timestamp, UsageKey, UsageSums, WorkspaceId,
};

use crate::{
    BalanceAt, ChargeFilter, ChargeRecord, Engine, EntryRecord, Error, Follow, Followed, GrantRecord,
    JournalHead, Listing, Page, Report, ReportTime, UsageAnswer, UsageRequest, WorkspaceFilter,
    WorkspaceRecord,
};

/// A question about committed state, described once, here; [`Reads`] has a method for each, and
/// [`QueryResult`] says what `None` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The profile of a workspace.
    Workspace {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
    },
    /// The workspaces that meet some conditions, newest first.
    Workspaces {
        /// The conditions that a workspace must meet to be listed.
        filter: WorkspaceFilter,
        /// The part of the list that is wanted.
        page: Page,
    },
    /// The balance of a workspace: the current one, or the one after the last entry up to `at`.
    Balance {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
        /// The instant that is asked about; now when `None`.
        at: Option<Timestamp>,
    },
    /// The members, API keys and portal sessions of a workspace.
    Team {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
    },
    /// The payments of a workspace.
    Payments {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
    },
    /// The texts about persons of a workspace, by member and digest.
    PersonalTexts {
        /// The workspace whose members are asked about.
        workspace: WorkspaceId,
        /// Each member with the digest of a text.
        wanted: Vec<(MemberId, Hash)>,
    },
    /// The spending limits of a workspace, and the day and month around `now` in its time zone.
    Limits {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
        /// The instant whose day and month are wanted.
        now: Timestamp,
    },
    /// The low-balance thresholds of a workspace and what was noted for its admins.
    Alerts {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
    },
    /// One charge with its draws and refunds.
    Charge {
        /// The workspace that was charged.
        workspace: WorkspaceId,
        /// The charge that is asked about.
        charge: ChargeId,
    },
    /// The charges of a workspace, newest first.
    Charges {
        /// The workspace that was charged.
        workspace: WorkspaceId,
        /// The conditions that a charge must meet to be listed.
        filter: ChargeFilter,
        /// The part of the list that is wanted.
        page: Page,
    },
    /// The grants of a workspace, newest first.
    Grants {
        /// The workspace that was granted credit.
        workspace: WorkspaceId,
        /// The part of the list that is wanted.
        page: Page,
    },
    /// The journal of a workspace, newest entry first.
    Entries {
        /// The workspace whose journal is asked for.
        workspace: WorkspaceId,
        /// The part of the list that is wanted.
        page: Page,
    },
    /// The journal of a workspace behind an entry, oldest entry first.
    EntriesAfter {
        /// The workspace whose journal is asked for.
        workspace: WorkspaceId,
        /// The entries that are wanted.
        follow: Follow,
    },
    /// The hourly usage of a workspace.
    Usage {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
        /// Whole hours since 1970-01-01 UTC, from the first to before the last.
        hours: Range<i64>,
    },
    /// The use of a workspace, added up as the request asks.
    UsageReport {
        /// The workspace that is asked about.
        workspace: WorkspaceId,
        /// What is asked.
        request: UsageRequest,
    },
    /// The platform with all that was committed, also by other servers. The one that the engine
    /// keeps ([`Engine::platform`]) may be older by a second.
    CurrentPlatform {},
    /// The end of the journal of all workspaces.
    JournalHead {},
    /// What all workspaces sold, used and owe at the beginning and at the end of a time. It reads
    /// every entry, and only one is computed at a time.
    Report {
        /// The time that is asked about.
        time: ReportTime,
    },
}

impl Query {
    /// True if the query may read thousands of entries or rows.
    pub(crate) fn is_long(&self) -> bool {
        match self {
            Query::Workspace { .. }
            | Query::Team { .. }
            | Query::Payments { .. }
            | Query::PersonalTexts { .. }
            | Query::Limits { .. }
            | Query::Alerts { .. }
            | Query::Charge { .. }
            | Query::CurrentPlatform {} => false,
            Query::Balance { at, .. } => at.is_some(),
            Query::Workspaces { .. }
            | Query::Charges { .. }
            | Query::Grants { .. }
            | Query::Entries { .. }
            | Query::EntriesAfter { .. }
            | Query::Usage { .. }
            | Query::UsageReport { .. }
            | Query::JournalHead {}
            | Query::Report { .. } => true,
        }
    }

    /// The workspace that is asked about, if it is a single one.
    pub(crate) fn workspace(&self) -> Option<&WorkspaceId> {
        match self {
            Query::Workspaces { .. }
            | Query::CurrentPlatform {}
            | Query::JournalHead {}
            | Query::Report { .. } => None,
            Query::Workspace { workspace }
            | Query::Balance { workspace, .. }
            | Query::Team { workspace }
            | Query::Payments { workspace }
            | Query::PersonalTexts { workspace, .. }
            | Query::Limits { workspace, .. }
            | Query::Alerts { workspace }
            | Query::Charge { workspace, .. }
            | Query::Charges { workspace, .. }
            | Query::Grants { workspace, .. }
            | Query::Entries { workspace, .. }
            | Query::EntriesAfter { workspace, .. }
            | Query::Usage { workspace, .. }
            | Query::UsageReport { workspace, .. } => Some(workspace),
        }
    }
}

/// The answer to the [`Query`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// The profile; `None` if there is no such workspace.
    Workspace(Option<Profile>),
    /// A page of workspaces.
    Workspaces(Listing<WorkspaceRecord>),
    /// The balance; `None` if there is no such workspace.
    Balance(Option<BalanceAt>),
    /// The team; `None` if there is no such workspace.
    Team(Option<Arc<Team>>),
    /// The payments, empty if there were none; `None` if there is no such workspace.
    Payments(Option<Arc<Payments>>),
    /// For each text that was asked for: the text, or `None` if it was erased or never there.
    PersonalTexts(Vec<Option<Box<str>>>),
    /// The limits, and the day and month they count in; `None` if there is no such workspace.
    Limits(Option<(Limits, PeriodWindows)>),
    /// The thresholds and notices; `None` if there is no such workspace.
    Alerts(Option<Alerts>),
    /// The charge; `None` if there is no such charge in that workspace.
    Charge(Option<Box<ChargeRecord>>),
    /// A page of charges; `None` if there is no such workspace.
    Charges(Option<Listing<Charge>>),
    /// A page of grants; `None` if there is no such workspace.
    Grants(Option<Listing<GrantRecord>>),
    /// A page of entries; `None` if there is no such workspace.
    Entries(Option<Listing<EntryRecord>>),
    /// The entries behind the one that was named; `None` if there is no such workspace.
    EntriesAfter(Option<Followed>),
    /// Rows of usage, one per key, in the order of their keys; empty if there is no such workspace.
    Usage(Vec<(UsageKey, UsageSums)>),
    /// The sums, or why there are none; `None` if there is no such workspace.
    UsageReport(Option<Box<UsageAnswer>>),
    /// The platform.
    CurrentPlatform(Arc<Platform>),
    /// The end of the journal.
    JournalHead(JournalHead),
    /// The numbers.
    Report(Box<Report>),
}

/// Asks an engine and takes the answer of the same name.
macro_rules! ask {
    ($engine:expr, $kind:ident { $($field:ident: $value:expr),* }) => {
        async move {
            match $engine.query(Query::$kind { $($field: $value),* }).await? {
                QueryResult::$kind(answer) => Ok(answer),
                other => panic!(concat!("asked for ", stringify!($kind), ", the engine answered {:?}"), other),
            }
        }
    };
}

/// The typed reads of every [`Engine`]: each asks the [`Query`] of its name and returns the value
/// of the [`QueryResult`] of that name.
///
/// # Panics
/// Each method panics if the engine answers another query than was asked, which is a bug of that
/// engine.
pub trait Reads: Engine {
    /// Asks [`Query::Workspace`].
    fn workspace(&self, id: &WorkspaceId) -> impl Future<Output = Result<Option<Profile>, Error>> + Send {
        ask!(self, Workspace { workspace: id.clone() })
    }

    /// Asks [`Query::Workspaces`].
    fn workspaces(
        &self,
        filter: WorkspaceFilter,
        page: Page,
    ) -> impl Future<Output = Result<Listing<WorkspaceRecord>, Error>> + Send {
        ask!(self, Workspaces { filter: filter, page: page })
    }

    /// Asks [`Query::Balance`].
    fn balance(
        &self,
        id: &WorkspaceId,
        at: Option<Timestamp>,
    ) -> impl Future<Output = Result<Option<BalanceAt>, Error>> + Send {
        ask!(self, Balance { workspace: id.clone(), at: at })
    }

    /// Asks [`Query::Team`].
    fn team(&self, id: &WorkspaceId) -> impl Future<Output = Result<Option<Arc<Team>>, Error>> + Send {
        ask!(self, Team { workspace: id.clone() })
    }

    /// Asks [`Query::Payments`].
    fn payments(
        &self,
        id: &WorkspaceId,
    ) -> impl Future<Output = Result<Option<Arc<Payments>>, Error>> + Send {
        ask!(self, Payments { workspace: id.clone() })
    }

    /// Asks [`Query::PersonalTexts`].
    fn personal_texts(
        &self,
        id: &WorkspaceId,
        wanted: Vec<(MemberId, Hash)>,
    ) -> impl Future<Output = Result<Vec<Option<Box<str>>>, Error>> + Send {
        ask!(self, PersonalTexts { workspace: id.clone(), wanted: wanted })
    }

    /// Asks [`Query::Limits`].
    fn limits(
        &self,
        id: &WorkspaceId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<(Limits, PeriodWindows)>, Error>> + Send {
        ask!(self, Limits { workspace: id.clone(), now: now })
    }

    /// Asks [`Query::Alerts`].
    fn alerts(&self, id: &WorkspaceId) -> impl Future<Output = Result<Option<Alerts>, Error>> + Send {
        ask!(self, Alerts { workspace: id.clone() })
    }

    /// Asks [`Query::Charge`].
    fn charge(
        &self,
        id: &WorkspaceId,
        charge: ChargeId,
    ) -> impl Future<Output = Result<Option<ChargeRecord>, Error>> + Send {
        let found = ask!(self, Charge { workspace: id.clone(), charge: charge });
        async move { found.await.map(|found: Option<Box<ChargeRecord>>| found.map(|record| *record)) }
    }

    /// Asks [`Query::Charges`].
    fn charges(
        &self,
        id: &WorkspaceId,
        filter: ChargeFilter,
        page: Page,
    ) -> impl Future<Output = Result<Option<Listing<Charge>>, Error>> + Send {
        ask!(self, Charges { workspace: id.clone(), filter: filter, page: page })
    }

    /// Asks [`Query::Grants`].
    fn grants(
        &self,
        id: &WorkspaceId,
        page: Page,
    ) -> impl Future<Output = Result<Option<Listing<GrantRecord>>, Error>> + Send {
        ask!(self, Grants { workspace: id.clone(), page: page })
    }

    /// Asks [`Query::Entries`].
    fn entries(
        &self,
        id: &WorkspaceId,
        page: Page,
    ) -> impl Future<Output = Result<Option<Listing<EntryRecord>>, Error>> + Send {
        ask!(self, Entries { workspace: id.clone(), page: page })
    }

    /// Asks [`Query::EntriesAfter`].
    fn entries_after(
        &self,
        id: &WorkspaceId,
        follow: Follow,
    ) -> impl Future<Output = Result<Option<Followed>, Error>> + Send {
        ask!(self, EntriesAfter { workspace: id.clone(), follow: follow })
    }

    /// Asks [`Query::Usage`].
    fn usage(
        &self,
        id: &WorkspaceId,
        hours: Range<i64>,
    ) -> impl Future<Output = Result<Vec<(UsageKey, UsageSums)>, Error>> + Send {
        ask!(self, Usage { workspace: id.clone(), hours: hours })
    }

    /// Asks [`Query::UsageReport`].
    fn usage_report(
        &self,
        id: &WorkspaceId,
        request: UsageRequest,
    ) -> impl Future<Output = Result<Option<UsageAnswer>, Error>> + Send {
        let answer = ask!(self, UsageReport { workspace: id.clone(), request: request });
        async move { answer.await.map(|answer: Option<Box<UsageAnswer>>| answer.map(|answer| *answer)) }
    }

    /// Asks [`Query::CurrentPlatform`].
    fn current_platform(&self) -> impl Future<Output = Result<Arc<Platform>, Error>> + Send {
        ask!(self, CurrentPlatform {})
    }

    /// Asks [`Query::JournalHead`].
    fn journal_head(&self) -> impl Future<Output = Result<JournalHead, Error>> + Send {
        ask!(self, JournalHead {})
    }

    /// Asks [`Query::Report`].
    fn report(&self, time: ReportTime) -> impl Future<Output = Result<Box<Report>, Error>> + Send {
        ask!(self, Report { time: time })
    }
}

impl<E: Engine + ?Sized> Reads for E {}
