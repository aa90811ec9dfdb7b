//! The floor beside the PostgreSQL engine: the hand-written way, on the same database in the same run. One transaction a
//! charge, an `INSERT` of an entry under a unique key and a guarded `UPDATE` of the balance, sent by pgbench with prepared
//! statements from as many clients as there are callers. It knows no prices, grants, limits, usage or history.
//!
//! Its tables are in a schema of their own, which is made before and dropped after each run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::failed;
use super::stats::Measured;
use crate::terminal::failure::Failure;

/// Clients when nothing is said of callers.
const CLIENTS: u64 = 64;

/// What is run before.
const TABLES: &str = "
    DROP SCHEMA IF EXISTS tollkeeper_floor CASCADE;
    CREATE SCHEMA tollkeeper_floor;
    CREATE TABLE tollkeeper_floor.account (workspace bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0))
        WITH (fillfactor = 50);
    CREATE TABLE tollkeeper_floor.entry (workspace bigint NOT NULL, key text NOT NULL, amount bigint NOT NULL,
        data bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (workspace, key));";

/// What is run after.
const DROP: &str = "DROP SCHEMA IF EXISTS tollkeeper_floor CASCADE";

/// One charge, as a team writes it. Two random numbers make a key that does not come again.
const SCRIPT: &str = "\\set workspace random(1, :workspaces)
\\set one random(0, 9000000000000000000)
\\set two random(0, 9000000000000000000)
BEGIN;
INSERT INTO tollkeeper_floor.entry (workspace, key, amount, data)
  VALUES (:workspace, concat(:one::bigint, '-', :two::bigint), 500, decode(repeat('5a', 160), 'hex'));
UPDATE tollkeeper_floor.account SET balance = balance - 500 WHERE workspace = :workspace AND balance >= 500;
END;
";

/// The hand-written way on a database.
#[derive(Debug)]
pub struct Peer {
    database: Address,
    /// Where pgbench and psql are.
    programs: PathBuf,
    workspaces: u64,
    clients: u64,
}

/// An address as PostgreSQL's own programs take it: the password apart, because arguments are seen by every user of the
/// machine.
#[derive(PartialEq, Eq)]
struct Address {
    url: String,
    password: Option<String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

impl Peer {
    /// Finds the programs; nothing is measured yet, so that what is missing is said at once.
    pub fn find(url: &str, workspaces: u64, callers: Option<u64>) -> Result<Peer, Failure> {
        let programs = programs().ok_or_else(|| {
            failed("there is no pgbench with psql beside it to measure the floor with").hint(
                "install the PostgreSQL server's package (Debian: postgresql), or put them into PATH; without \
                 --floor they are not needed",
            )
        })?;
        Ok(Peer { database: Address::of(url), programs, workspaces, clients: callers.unwrap_or(CLIENTS) })
    }

    /// So many charges the hand-written way.
    pub fn charge(&self, charges: u64) -> Result<Measured, Failure> {
        let accounts = format!(
            "{TABLES} INSERT INTO tollkeeper_floor.account SELECT n, 1000000000000 FROM generate_series(1, {}) AS n;
             ANALYZE tollkeeper_floor.account",
            self.workspaces
        );
        self.psql(&accounts)?;
        let each = (charges / self.clients).max(1);
        let told = self.pgbench(each);
        self.psql(DROP)?;
        measured(&told?, each * self.clients)
    }

    fn psql(&self, sql: &str) -> Result<(), Failure> {
        let mut command = self.program("psql");
        command.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-c", sql, "-d", &self.database.url]);
        run(&mut command).map(|_| ())
    }

    fn pgbench(&self, each: u64) -> Result<String, Failure> {
        let script = std::env::temp_dir().join(format!("tollkeeper-floor-{}.sql", std::process::id()));
        std::fs::write(&script, SCRIPT).map_err(|error| failed(format!("{}: {error}", script.display())))?;
        let mut command = self.program("pgbench");
        command.args(["-n", "-M", "prepared", "-j", "2", "-D", &format!("workspaces={}", self.workspaces)]);
        command.args(["-c", &self.clients.to_string(), "-t", &each.to_string(), "-f"]).arg(&script);
        let told = run(command.arg(&self.database.url));
        // What is left behind in the temporary directory is the system's to clear.
        let _ = std::fs::remove_file(&script);
        told
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // What is said of tables that are not there before they are made is of no interest.
        command.env("PGOPTIONS", "-c client_min_messages=warning");
        command.envs(self.database.password.as_ref().map(|password| ("PGPASSWORD", password)));
        command
    }
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    let output = command.output().map_err(|error| failed(format!("{name} does not run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("{name} says: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Address {
    fn of(url: &str) -> Address {
        let parts = url.split_once("://").and_then(|(scheme, rest)| {
            let (user, place) = rest.rsplit_once('@')?;
            let (user, password) = user.split_once(':')?;
            Some((format!("{scheme}://{user}@{place}"), decoded(password)))
        });
        match parts {
            Some((url, password)) => Address { url, password: Some(password) },
            None => Address { url: url.to_owned(), password: None },
        }
    }
}

/// A password as it is meant: what an address spells as `%40` is an `@`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let spelled = more.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match spelled.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where pgbench and psql are: in PATH, else where Debian keeps them, the newest.
fn programs() -> Option<PathBuf> {
    let both = |directory: &PathBuf| ["pgbench", "psql"].iter().all(|name| directory.join(name).is_file());
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&in_path).find(both) {
        return Some(found);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).filter(both).collect();
    found.sort();
    found.pop()
}

/// What pgbench found out: `tps = 11700.123456 (without initial connection time)`.
fn measured(told: &str, charges: u64) -> Result<Measured, Failure> {
    let unclear = || failed(format!("pgbench said something else than a rate: {told}"));
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = ")).ok_or_else(unclear)?;
    let (whole, rest) = rate.split_once('.').ok_or_else(unclear)?;
    let thousandths: u64 =
        format!("{whole}{}", rest.get(..3).unwrap_or("000")).parse().map_err(|_| unclear())?;
    let nanos = u128::from(charges) * 1_000_000_000_000 / u128::from(thousandths.max(1));
    let elapsed = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    Ok(Measured { charges, elapsed, waited: Vec::new(), reads: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_from_what_pgbench_says() {
        let told = "number of failed transactions: 0 (0.000%)\ntps = 2000.500000 (without initial connection time)\n";
        let measured = measured(told, 4_001).expect("a rate");
        assert_eq!((measured.charges, measured.elapsed), (4_001, Duration::from_secs(2)));
        assert!(super::measured("nothing", 1).is_err());
    }

    #[test]
    fn a_password_is_no_argument() {
        let address = Address::of("postgres://ada:s%40cret@a:1,b:2/d?target_session_attrs=read-write");
        assert_eq!(address.url, "postgres://ada@a:1,b:2/d?target_session_attrs=read-write");
        assert_eq!(address.password.as_deref(), Some("s@cret"));
        let address = Address::of("postgres://ada@h/d");
        assert_eq!((address.url.as_str(), address.password), ("postgres://ada@h/d", None));
    }
}
