//! What `tollkeeper demo` prints: where the server is, links into the dashboard, and a tour. All of
//! it is a shell script of comments and curl commands. Each step of the tour shows one property of
//! the system.

use std::fmt;
use std::path::{Path, PathBuf};

use super::people::WORKSPACE;
use super::state::State;

/// The values that the output contains.
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
    /// Links into the dashboard.
    pub sign_ins: Vec<SignIn>,
    /// What the workspace holds.
    pub state: State,
}

/// A link that signs a member in.
#[derive(Debug)]
pub struct SignIn {
    /// `admin` or `member`.
    pub role: &'static str,
    /// The id of the member.
    pub id: String,
    /// The name of the member.
    pub name: String,
    /// The link.
    pub link: String,
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

/// Changes to a dearer plan, and confirms its price under a key that stays: it is paid once.
fn subscription() -> [String; 2] {
    let path = "/v1/workspaces/acme/subscription";
    let plan = curl(path, None, Some(r#"{"plan":"growth"}"#)).replacen("-i", "-i -X PUT", 1);
    [plan, curl(&format!("{path}/confirm"), Some("change-to-growth"), Some(r#"{"change":true}"#))]
}

impl fmt::Display for Tour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tour { url, key, state, .. } = self;
        let data = quoted(&self.data);
        writeln!(f, "# Tollkeeper listens on {url}; its data is in {data}. Ctrl-C stops it.")?;
        writeln!(f, "# The workspace \"{WORKSPACE}\" {}.", self.holds())?;
        if !self.sign_ins.is_empty() {
            self.write_sign_ins(f)?;
        }
        let then = match state {
            State::Normal => "Paste this into another terminal",
            State::FirstRun | State::ZeroBalance => "For other commands, paste this into another terminal",
        };
        write!(f, "\n# {then}:\n\nexport URL={url}\nexport TOLLKEEPER_KEY={key}\n\n")?;
        let balance = curl("/v1/workspaces/acme/balance", None, None);
        write!(f, "# The balance, in micro-units and USD.\n{balance}; echo\n\n")?;
        if *state == State::Normal {
            self.write_charges(f)?;
            self.write_payments(f)?;
        }
        if let Some(folder) = &self.mails {
            write!(f, "{}", mail_files(folder, *state))?;
        }
        let program = quoted(&self.program);
        if let Some(SignIn { id, name, .. }) = self.sign_ins.first() {
            writeln!(f, "# Another link that signs {name} in.")?;
            writeln!(f, "{program} portal link {WORKSPACE} {id} --server \"$URL\"\n")?;
        }
        writeln!(f, "# Recompute every balance from the journal while the server runs.")?;
        write!(f, "{program} audit --data {data}\n\n# All calls of the API are described at {url}/docs\n")
    }
}

impl Tour {
    /// What the workspace holds, as the rest of a sentence.
    fn holds(&self) -> String {
        let credit = &self.credit;
        match self.state {
            State::FirstRun => "has no credit, no keys, and no charges yet".to_owned(),
            State::Normal => format!("has {credit} of credit, and 90 days of use"),
            State::ZeroBalance => format!("has {credit} of credit left after 90 days of use"),
        }
    }

    fn write_sign_ins(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n# Its dashboard. Each link signs in once, within ten minutes.")?;
        for SignIn { role, id: _, name, link } in &self.sign_ins {
            writeln!(f, "# Sign in as {name}, {role}: {link}")?;
        }
        let Tour { url, key, .. } = self;
        writeln!(
            f,
            "# The console of the platform's operators, for any name and the key {key}: {url}/console"
        )?;
        Ok(())
    }

    fn write_charges(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key_of = |step: &str| format!("{step}-{}", self.run);
        let charge = "/v1/workspaces/acme/charges";
        let try_on = curl(charge, Some(&key_of("try-on")), Some(r#"{"operation":"virtual_try_on"}"#));
        let pricing = r#"{"operation":"smart_pricing","quantity":37}"#;
        let pricing = curl(charge, Some(&key_of("pricing")), Some(pricing));
        let pending = Some(r#"{"operation":"background_removal","await_outcome":true}"#);
        let pending = curl(charge, Some(&key_of("pending")), pending);
        let failed = curl(&format!("{charge}/$CHARGE/outcome"), None, Some(FAILED));
        let too_much = Some(r#"{"operation":"smart_pricing","quantity":1000000}"#);
        let too_much = curl(charge, Some(&key_of("too-much")), too_much);
        write!(
            f,
            "\
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

"
        )
    }

    fn write_payments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [top_up, confirm] = top_up(&format!("top-up-{}", self.run));
        let [plan, pay_plan] = subscription();
        let balance = curl("/v1/workspaces/acme/balance", None, None);
        let entries = curl("/v1/workspaces/acme/entries?limit=5", None, None);
        write!(
            f,
            "\
# Buy credit: a top-up of 25.00 USD waits for its payment. Then the platform confirms that the money
# arrived, and the credit is granted, once. A second confirmation changes nothing.
TOP_UP=$({top_up} | grep -o 'tu_[0-9a-f-]*' | head -n 1); echo $TOP_UP
{confirm}; echo
{confirm}; echo

# Change to a dearer plan: it waits for the payment of the rest of the month. The platform confirms it, and
# the credit for the rest of the month is granted, once. Every further month is confirmed in the same way.
{plan}; echo
{pay_plan}; echo
{pay_plan}; echo

# The journal, newest entry first, and the final balance.
{entries}; echo
{balance}; echo

"
        )
    }
}

/// Lists the mails that were written to files.
fn mail_files(folder: &Path, state: State) -> String {
    let about = match state {
        State::Normal => {
            "# The admins of \"acme\" were mailed about the refused charge, the top-up and the plan. In the demo a mail is
# a file of this folder.
"
        }
        State::FirstRun | State::ZeroBalance => "# In the demo a mail is a file of this folder.\n",
    };
    format!("{about}ls {}\n\n", quoted(folder))
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
