//! `tollkeeper audit`: recomputes every number from the journal and reports the first entry that
//! disagrees. It works while a server runs on the store. The engine crate does the work.

use serde_json::{Value, json};
use tollkeeper_engine::embedded::{self, ExpectedEntry};
use tollkeeper_engine::{
    AuditDisagreement, AuditOptions, AuditReport, DisagreementKind, RuleFindings, postgres,
};
use tollkeeper_ledger::{Micros, WorkspaceId};
use tollkeeper_server::Store;

use super::repair::MENDING;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output::{self, grouped, plain};
use crate::transport::store_args::StoreArgs;

const EXAMPLE: &str = "Exit codes: 0 everything agrees, 1 something disagrees, 3 the store cannot be read,
4 everything agrees, but with --rules there are findings.

What does not fit into a quarter of a gigabyte lies in a temporary file; TMPDIR says where.

Examples:
  tollkeeper audit --data ./tollkeeper-data
  tollkeeper audit --expect 1024:9f86d0…
  tollkeeper audit --rules
  tollkeeper audit --json | jq .available";

/// Recompute all balances from the journal and check its hash chain
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// An entry of the journal that must be there with this hash, as noted down before. Only for a
    /// data directory
    #[arg(long, value_name = "PLACE:HASH", value_parser = expected_entry)]
    expect: Option<ExpectedEntry>,

    /// Also decide every entry again by the rules of this program, with the prices and settings of
    /// its time, and list what they would refuse or decide otherwise
    #[arg(long)]
    rules: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads `PLACE:HASH`, a sequence number and 64 hex digits.
fn expected_entry(text: &str) -> Result<ExpectedEntry, &'static str> {
    let parse = || {
        let (place, hash) = text.split_once(':')?;
        let digits = hash.as_bytes().as_chunks::<2>().0;
        let bytes = digits.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        let bytes = bytes.collect::<Option<Vec<u8>>>()?;
        let hash = <[u8; 32]>::try_from(bytes).ok().filter(|_| hash.len() == 64)?;
        Some(ExpectedEntry { place: place.parse().ok()?, hash })
    };
    parse().ok_or("it must be PLACE:HASH, a number and 64 hex digits")
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let store = args.store.store()?;
    let options = AuditOptions { rules: args.rules, ..AuditOptions::default() };
    let report = match &store {
        Store::Directory(path) => embedded::audit_with(path, args.expect, options),
        Store::Database(_) if args.expect.is_some() => {
            return Err(Failure::new(Exit::Usage, "--expect is only for a data directory")
                .because("a database has no order of all entries"));
        }
        Store::Database(url) => postgres::audit_with(url.expose(), options),
    };
    let report = report.map_err(|why| Failure::of_engine(format!("{store} cannot be audited"), &why))?;
    output::data(&if args.json { format!("{}\n", as_json(&report)) } else { as_text(&report) })?;
    if let Some(disagreement) = &report.disagreement {
        return Err(Failure::new(Exit::No, "the journal and the stored state disagree")
            .because(described(disagreement))
            .hint(hint(&store, disagreement.kind, disagreement.workspace.as_ref())));
    }
    match report.rules {
        Some(RuleFindings { count, .. }) if count > 0 => {
            Err(Failure::new(Exit::Findings, "the rules of this program would decide entries otherwise")
                .because(format!("{} findings; every number agrees with the journal", counted(count)))
                .hint(hint(&store, DisagreementKind::Rules, None)))
        }
        Some(_) | None => Ok(()),
    }
}

/// What to do about a disagreement. What derives from a sound journal is built again: a backup
/// would lose what came after it.
fn hint(store: &Store, kind: DisagreementKind, workspace: Option<&WorkspaceId>) -> String {
    let workspace = workspace.filter(|id| !id.is_platform());
    match (kind, store, workspace) {
        (DisagreementKind::Derived, Store::Directory(_), _) => format!("nothing is lost: {MENDING}"),
        (DisagreementKind::Derived, Store::Database(_), Some(id)) => format!(
            "run `tollkeeper repair {id}` and audit again; if it still disagrees, keep a copy of the database and \
             restore the last backup that passes an audit"
        ),
        (DisagreementKind::Derived, Store::Database(_), None) | (DisagreementKind::Journal, ..) => {
            "stop the server, keep a copy of the store, and restore the last backup that passes an audit"
        }
        .to_owned(),
        (DisagreementKind::Text, ..) => {
            "keep a copy of the store; no entry has the text, so only a backup that passes an audit brings it back"
        }
        .to_owned(),
        (DisagreementKind::Import, ..) => {
            "repeat the import of the whole export; it continues where it ended".to_owned()
        }
        (DisagreementKind::Rules, ..) => {
            "an entry stands as it was decided; look for a release note that changed the rule".to_owned()
        }
    }
}

/// A number of things, for people.
fn counted(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

fn as_text(report: &AuditReport) -> String {
    let AuditReport { entries, workspaces, available, texts, texts_erased, totals, disagreement, rules } =
        report;
    let amount = |micros: Micros| output::amount(micros.get());
    let verdict = match disagreement {
        None => "every number agrees with the journal".to_owned(),
        Some(disagreement) => format!("DISAGREES: {}", described(disagreement)),
    };
    let mut lines = format!(
        "audit        {verdict}\nentries      {}\nworkspaces   {}\npersonal     {} texts, {} erased\ngranted      {}\ncharged      {}\nrefunded     {}\nclawed back  {}\navailable    {}\n",
        counted(*entries),
        counted(*workspaces),
        counted(*texts),
        counted(*texts_erased),
        amount(totals.granted),
        amount(totals.charged),
        amount(totals.refunded),
        amount(totals.clawed_back),
        amount(*available),
    );
    if let Some(RuleFindings { count, first }) = rules {
        lines += &format!("findings     {}\n", counted(*count));
        for finding in first {
            lines += &format!("  {}\n", described(finding));
        }
        if *count > first.len() as u64 {
            lines += &format!("  and {} more\n", counted(*count - first.len() as u64));
        }
    }
    lines
}

fn as_json(report: &AuditReport) -> Value {
    let AuditReport { entries, workspaces, available, texts, texts_erased, totals, disagreement, rules } =
        report;
    json!({
        "ok": disagreement.is_none(),
        "entries": entries,
        "workspaces": workspaces,
        "personal_texts": texts,
        "personal_texts_erased": texts_erased,
        "granted": totals.granted.get(),
        "granted_usd": totals.granted.usd().to_string(),
        "charged": totals.charged.get(),
        "charged_usd": totals.charged.usd().to_string(),
        "refunded": totals.refunded.get(),
        "refunded_usd": totals.refunded.usd().to_string(),
        "clawed_back": totals.clawed_back.get(),
        "clawed_back_usd": totals.clawed_back.usd().to_string(),
        "available": available.get(),
        "available_usd": available.usd().to_string(),
        "disagreement": disagreement.as_ref().map(found),
        "rules": rules.as_ref().map(|RuleFindings { count, first }| json!({
            "findings": count,
            "first": first.iter().map(found).collect::<Vec<_>>(),
        })),
    })
}

fn found(disagreement: &AuditDisagreement) -> Value {
    let AuditDisagreement { kind, workspace, entry, what } = disagreement;
    json!({
        "kind": kind.as_str(),
        "workspace": workspace.as_ref().map(ToString::to_string),
        "entry": entry,
        "what": what,
    })
}

/// Formats a disagreement: the workspace, the entry, and what differs.
fn described(disagreement: &AuditDisagreement) -> String {
    let AuditDisagreement { workspace, entry, what, .. } = disagreement;
    let workspace = workspace.as_ref().map(|id| match id.is_platform() {
        true => "the platform's journal, ".to_owned(),
        false => format!("workspace {id}, "),
    });
    let entry = entry.map(|n| format!("entry {n}, "));
    plain(&format!("{}{}{what}", workspace.unwrap_or_default(), entry.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::WorkspaceId;
    use tollkeeper_server::settings::DatabaseUrl;

    use super::*;

    #[test]
    fn the_hint_restores_a_backup_only_if_nothing_smaller_helps() {
        use DisagreementKind::{Derived, Import, Journal, Rules, Text};
        let database = DatabaseUrl::new("postgres://db/tollkeeper").expect("a good address");
        let (database, directory) = (Store::Database(database), Store::Directory("data".into()));
        let (acme, platform) = (WorkspaceId::new("acme").expect("a good id"), WorkspaceId::platform());
        for (store, workspace, kind, start) in [
            (&database, Some(&acme), Derived, "run `tollkeeper repair acme` and audit again"),
            (&database, Some(&platform), Derived, "stop the server, keep a copy"),
            (&database, None, Derived, "stop the server, keep a copy"),
            (&directory, Some(&acme), Derived, "nothing is lost"),
            (&directory, None, Derived, "nothing is lost"),
            (&database, Some(&acme), Journal, "stop the server, keep a copy"),
            (&directory, Some(&acme), Journal, "stop the server, keep a copy"),
            (&directory, None, Journal, "stop the server, keep a copy"),
            (&database, Some(&acme), Text, "keep a copy of the store; no entry has the text"),
            (&directory, Some(&acme), Text, "keep a copy of the store; no entry has the text"),
            (&database, None, Import, "repeat the import"),
            (&directory, None, Import, "repeat the import"),
            (&directory, Some(&acme), Rules, "an entry stands as it was decided"),
        ] {
            let hint = hint(store, kind, workspace);
            assert!(hint.starts_with(start), "{store} {kind:?}: {hint}");
        }
    }
}
