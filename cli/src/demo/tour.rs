//! The tour that `tollkeeper demo` prints: a shell script of comments and curl commands. Each step
//! shows one property of the system.

use std::fmt;
use std::path::{Path, PathBuf};

/// The values that the commands of the tour contain.
#[derive(Debug)]
pub struct Tour {
    /// The URL of the server.
    pub url: String,
    /// The absolute path of the data directory.
    pub data: PathBuf,
    /// The folder into which mails are written; `None` if they go to a relay.
    pub mails: Option<PathBuf>,
    /// The path of this binary.
    pub program: PathBuf,
    /// A suffix of the idempotency keys, new at every start, so that the tour can be repeated.
    pub run: String,
    /// The platform key.
    pub key: String,
    /// The credit of the sample workspace, in both units.
    pub credit: String,
}

/// Formats a curl command with the headers of the API; with a body, it is a POST.
fn curl(path: &str, key: Option<&str>, body: Option<&str>) -> String {
    let mut text = format!("curl -sS -i \"$URL{path}\" -H \"Authorization: Bearer $TOLLKEEPER_KEY\"");
    if let Some(key) = key {
        text += &format!(" -H 'Idempotency-Key: {key}'");
    }
    if let Some(body) = body {
        text += &format!(" \\\n  -H 'Content-Type: application/json' -d '{body}'");
    }
    text
}

/// The outcome of an operation that the system failed.
const FAILED: &str = r#"{"result":"failed","fault":"system"}"#;

/// Opens a top-up, and confirms it.
fn top_up(key: &str) -> [String; 2] {
    let path = "/v1/workspaces/acme/top-ups";
    let opened = curl(path, Some(key), Some(r#"{"amount_usd":"25.00"}"#));
    [opened, curl(&format!("{path}/$TOP_UP/confirm"), None, Some("{}"))]
}

/// Chooses a plan, and confirms its first month under a key that stays, so that it is paid once.
fn subscription() -> [String; 2] {
    let path = "/v1/workspaces/acme/subscription";
    let plan = curl(path, None, Some(r#"{"plan":"starter"}"#)).replacen("-i", "-i -X PUT", 1);
    [plan, curl(&format!("{path}/confirm"), Some("first-month"), Some("{}"))]
}

impl fmt::Display for Tour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tour { url, data, mails, program, run, key, credit } = self;
        let (data, program) = (quoted(data), quoted(program));
        let mails = mails.as_deref().map(mail_files).unwrap_or_default();
        let key_of = |step: &str| format!("{step}-{run}");
        let charge = "/v1/workspaces/acme/charges";
        let try_on = curl(charge, Some(&key_of("try-on")), Some(r#"{"operation":"virtual_try_on"}"#));
        let pricing = r#"{"operation":"smart_pricing","quantity":37}"#;
        let pricing = curl(charge, Some(&key_of("pricing")), Some(pricing));
        let pending = Some(r#"{"operation":"background_removal","await_outcome":true}"#);
        let pending = curl(charge, Some(&key_of("pending")), pending);
        let failed = curl(&format!("{charge}/$CHARGE/outcome"), None, Some(FAILED));
        let too_much = Some(r#"{"operation":"smart_pricing","quantity":1000000}"#);
        let too_much = curl(charge, Some(&key_of("too-much")), too_much);
        let [top_up, confirm] = top_up(&key_of("top-up"));
        let [plan, pay_plan] = subscription();
        let balance = curl("/v1/workspaces/acme/balance", None, None);
        let entries = curl("/v1/workspaces/acme/entries?limit=5", None, None);
        write!(
            f,
            "\
# Tollkeeper listens on {url}; its data is in {data}. Ctrl-C stops it.
# The workspace \"acme\" has {credit} of credit. Paste this into another terminal:

export URL={url}
export TOLLKEEPER_KEY={key}

# The balance, in micro-units and USD.
{balance}; echo

# Charge for a virtual try-on before it runs: 20,000 micro-units (0.20 USD).
{try_on}; echo

# Repeat the request with the same idempotency key: the first answer comes again (Idempotent-Replayed: true),
# and no credit moves.
{try_on}; echo

# Charge for 37 units: smart pricing costs 1,000 per product, together 37,000.
{pricing}; echo

# Open a charge that awaits its outcome, then report that the system failed: it is refunded automatically.
CHARGE=$({pending} | grep -o 'ch_[0-9a-f-]*' | head -n 1); echo $CHARGE
{failed}; echo

# Ask for more than the balance: 402, with the required and the available amount. No credit moves.
{too_much}; echo

# Buy credit: a top-up of 25.00 USD waits for its payment. Then the platform confirms that the money
# arrived, and the credit is granted, once. A second confirmation changes nothing.
TOP_UP=$({top_up} | grep -o 'tu_[0-9a-f-]*' | head -n 1); echo $TOP_UP
{confirm}; echo
{confirm}; echo

# Choose a plan: it waits for its first payment. The platform confirms it, and the credit of the month is
# granted, once. Every further month is confirmed in the same way.
{plan}; echo
{pay_plan}; echo
{pay_plan}; echo

# The journal, newest entry first, and the final balance.
{entries}; echo
{balance}; echo

{mails}# Recompute every balance from the journal while the server runs.
{program} audit --data {data}

# All calls of the API are described at {url}/docs
"
        )
    }
}

/// Lists the mails that were written to files.
fn mail_files(folder: &Path) -> String {
    format!(
        "\
# The admin of \"acme\" was mailed about the refused charge, the top-up and the plan. In the demo a mail is
# a file of this folder.
ls {}

",
        quoted(folder)
    )
}

/// Quotes a path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_as_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
