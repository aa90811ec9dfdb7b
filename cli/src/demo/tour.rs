//! The tour that `tollkeeper demo` prints: a shell script of comments and curl commands, each of which shows one promise.

use std::fmt;
use std::path::{Path, PathBuf};

/// What the commands of the tour need to know.
#[derive(Debug)]
pub struct Tour {
    /// Where the server listens.
    pub url: String,
    /// The data directory, absolute.
    pub data: PathBuf,
    /// This binary.
    pub program: PathBuf,
    /// Makes the idempotency keys new with every start, so that the tour can be taken again.
    pub run: String,
    /// The platform key.
    pub key: String,
}

/// Fills the headers and the address into a step.
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

impl fmt::Display for Tour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tour { url, data, program, run, key } = self;
        let (data, program) = (quoted(data), quoted(program));
        let key_of = |step: &str| format!("{step}-{run}");
        let charge = "/v1/workspaces/acme/charges";
        let try_on = curl(charge, Some(&key_of("try-on")), Some(r#"{"operation":"virtual_try_on"}"#));
        let pricing = Some(r#"{"operation":"smart_pricing","quantity":37}"#);
        let pricing = curl(charge, Some(&key_of("pricing")), pricing);
        let pending = Some(r#"{"operation":"background_removal","await_outcome":true}"#);
        let pending = curl(charge, Some(&key_of("pending")), pending);
        let failed = Some(r#"{"result":"failed","fault":"system"}"#);
        let failed = curl("/v1/workspaces/acme/charges/$CHARGE/outcome", None, failed);
        let too_much = Some(r#"{"operation":"smart_pricing","quantity":1000000}"#);
        let too_much = curl(charge, Some(&key_of("too-much")), too_much);
        let balance = curl("/v1/workspaces/acme/balance", None, None);
        let entries = curl("/v1/workspaces/acme/entries?limit=5", None, None);
        write!(
            f,
            "\
# Tollkeeper listens on {url}; its data is in {data}. Ctrl-C stops it.
# The workspace \"acme\" has 1,000,000 micro-units, which are 10.00 USD. Paste this into another terminal:

export URL={url}
export TOLLKEEPER_KEY={key}

# The balance, in both units.
{balance}; echo

# A virtual try-on is paid before it runs: 20,000 micro-units, 0.20 USD.
{try_on}; echo

# The same request under the same key: the first answer again (Idempotent-Replayed: true), and nothing moves.
{try_on}; echo

# Smart pricing costs 1,000 per product; 37 products cost 37,000.
{pricing}; echo

# A charge that awaits its outcome; then the system fails the operation, and the credit comes back by itself.
CHARGE=$({pending} | grep -o 'ch_[0-9a-f-]*' | head -n 1); echo $CHARGE
{failed}; echo

# What cannot be paid does not run: 402, with what it takes and what there is. Nothing moves.
{too_much}; echo

# The journal, newest first, and the balance after all this.
{entries}; echo
{balance}; echo

# Every number, recomputed from the journal; beside the running server.
{program} audit --data {data}

# Every call is described at {url}/docs
"
        )
    }
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
