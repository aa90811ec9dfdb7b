//! The baseline of the PostgreSQL engine: hand-written SQL on the same database in the same run.
//!
//! One transaction per charge inserts an entry under a unique key and updates the balance if it is
//! large enough. pgbench sends it with prepared statements, from as many clients as the benchmark
//! has callers. There are no prices, grants, limits, usage or history.
//!
//! The tables are in a schema of their own, created before each round and dropped after it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::failure::failed;
use super::stats::Measurement;
use crate::terminal::failure::Failure;

/// The number of clients if `--callers` is not given.
const CLIENTS: u64 = 64;

/// Creates the schema and its tables.
const TABLES: &str = "
    DROP SCHEMA IF EXISTS tollkeeper_floor CASCADE;
    CREATE SCHEMA tollkeeper_floor;
    CREATE TABLE tollkeeper_floor.account (workspace bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0))
        WITH (fillfactor = 50);
    CREATE TABLE tollkeeper_floor.entry (workspace bigint NOT NULL, key text NOT NULL, amount bigint NOT NULL,
        data bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (workspace, key));";

/// Drops the schema.
const DROP: &str = "DROP SCHEMA IF EXISTS tollkeeper_floor CASCADE";

/// One charge as a team would write it by hand. Two random numbers make a unique key.
const SCRIPT: &str = "\\set workspace random(1, :workspaces)
\\set one random(0, 9000000000000000000)
\\set two random(0, 9000000000000000000)
BEGIN;
INSERT INTO tollkeeper_floor.entry (workspace, key, amount, data)
  VALUES (:workspace, concat(:one::bigint, '-', :two::bigint), 500, decode(repeat('5a', 160), 'hex'));
UPDATE tollkeeper_floor.account SET balance = balance - 500 WHERE workspace = :workspace AND balance >= 500;
END;
";

/// The baseline on a database.
#[derive(Debug)]
pub struct PgbenchBaseline {
    database: Address,
    /// The directory of pgbench and psql.
    programs: PathBuf,
    workspaces: u64,
    clients: u64,
}

/// The address of a database for the programs of PostgreSQL. The password is apart, because every
/// user of the machine can see arguments.
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

impl PgbenchBaseline {
    /// Finds the programs. Nothing is measured yet, so that a missing program is reported at once.
    pub fn find(url: &str, workspaces: u64, callers: Option<u64>) -> Result<PgbenchBaseline, Failure> {
        let programs = programs().ok_or_else(|| {
            failed("the baseline needs pgbench and psql, which were not found in one directory").hint(
                "install the PostgreSQL server (Debian: postgresql), or add its programs to PATH; without --floor \
                 they are not needed",
            )
        })?;
        Ok(PgbenchBaseline {
            database: Address::of(url),
            programs,
            workspaces,
            clients: callers.unwrap_or(CLIENTS),
        })
    }

    /// Runs this many charges; measures their rate.
    pub fn charge(&self, charges: u64) -> Result<Measurement, Failure> {
        let accounts = format!(
            "{TABLES} INSERT INTO tollkeeper_floor.account SELECT n, 1000000000000 FROM generate_series(1, {}) AS n;
             ANALYZE tollkeeper_floor.account",
            self.workspaces
        );
        self.psql(&accounts)?;
        let each = (charges / self.clients).max(1);
        let output = self.pgbench(each);
        self.psql(DROP)?;
        measurement(&output?, each * self.clients)
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
        let output = run(command.arg(&self.database.url));
        // If it cannot be removed, the system clears the temporary directory later.
        let _ = std::fs::remove_file(&script);
        output
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // Hides the notice that a dropped table does not exist.
        command.env("PGOPTIONS", "-c client_min_messages=warning");
        command.envs(self.database.password.as_ref().map(|password| ("PGPASSWORD", password)));
        command
    }
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    let output = command.output().map_err(|error| failed(format!("{name} cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Address {
    fn of(url: &str) -> Address {
        let parts = url.split_once("://").and_then(|(scheme, rest)| {
            let (user, host) = rest.rsplit_once('@')?;
            let (user, password) = user.split_once(':')?;
            Some((format!("{scheme}://{user}@{host}"), percent_decoded(password)))
        });
        match parts {
            Some((url, password)) => Address { url, password: Some(password) },
            None => Address { url: url.to_owned(), password: None },
        }
    }
}

/// Decodes the percent-encoding of a URL: `%40` is an `@`.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digits = more.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
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

/// Returns the directory of pgbench and psql: in PATH, else of the newest PostgreSQL of Debian.
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

/// Reads the rate in the output of pgbench: `tps = 11700.123456 (without initial connection time)`.
fn measurement(output: &str, charges: u64) -> Result<Measurement, Failure> {
    let no_rate = || failed(format!("the output of pgbench holds no rate: {output}"));
    let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")).ok_or_else(no_rate)?;
    let (whole, rest) = rate.split_once('.').ok_or_else(no_rate)?;
    let thousandths: u64 =
        format!("{whole}{}", rest.get(..3).unwrap_or("000")).parse().map_err(|_| no_rate())?;
    let nanos = u128::from(charges) * 1_000_000_000_000 / u128::from(thousandths.max(1));
    let elapsed = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    Ok(Measurement { charges, elapsed, latencies: Vec::new(), read_latencies: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_the_output_of_pgbench() {
        let output = "number of failed transactions: 0 (0.000%)\ntps = 2000.500000 (without initial connection time)\n";
        let measured = measurement(output, 4_001).expect("a rate");
        assert_eq!((measured.charges, measured.elapsed), (4_001, Duration::from_secs(2)));
        assert!(measurement("nothing", 1).is_err());
    }

    #[test]
    fn a_password_is_not_passed_as_an_argument() {
        let address = Address::of("postgres://ada:s%40cret@a:1,b:2/d?target_session_attrs=read-write");
        assert_eq!(address.url, "postgres://ada@a:1,b:2/d?target_session_attrs=read-write");
        assert_eq!(address.password.as_deref(), Some("s@cret"));
        let address = Address::of("postgres://ada@h/d");
        assert_eq!((address.url.as_str(), address.password), ("postgres://ada@h/d", None));
    }
}
