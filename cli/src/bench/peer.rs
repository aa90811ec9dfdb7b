//! The floor beside the PostgreSQL engine: the hand-written way, on the same database in the same run. One transaction a
//! charge, an `INSERT` of an entry under a unique key and a guarded `UPDATE` of the balance, sent by pgbench with prepared
//! statements from as many clients as there are callers. It knows no prices, grants, limits, usage or history.
//!
//! Its tables are in a schema of their own, which is made before and dropped after each run.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

use super::failed;
use super::figures::Measured;
use crate::failure::Failure;

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
    config: Config,
    pgbench: PathBuf,
    workspaces: u64,
    clients: u64,
}

impl Peer {
    /// Finds pgbench and the database; nothing is measured yet, so that what is missing is said at once.
    pub fn find(url: &str, workspaces: u64, callers: Option<u64>) -> Result<Peer, Failure> {
        let config = url.parse().map_err(|error: tokio_postgres::Error| failed(error.to_string()))?;
        let pgbench = pgbench().ok_or_else(|| {
            failed("there is no pgbench to measure the floor with").hint(
                "install the PostgreSQL server's package (Debian: postgresql), or put pgbench into PATH; \
                 without --floor it is not needed",
            )
        })?;
        Ok(Peer { config, pgbench, workspaces, clients: callers.unwrap_or(CLIENTS) })
    }

    /// So many charges the hand-written way.
    pub async fn charge(&self, charges: u64) -> Result<Measured, Failure> {
        let accounts = format!(
            "{TABLES} INSERT INTO tollkeeper_floor.account SELECT n, 1000000000000 FROM generate_series(1, {}) AS n;
             ANALYZE tollkeeper_floor.account",
            self.workspaces
        );
        self.run(&accounts).await?;
        let each = (charges / self.clients).max(1);
        let told = self.pgbench(each);
        self.run(DROP).await?;
        measured(&told?, each * self.clients)
    }

    async fn run(&self, sql: &str) -> Result<(), Failure> {
        let refused = |error: tokio_postgres::Error| failed(format!("the floor's tables: {error}"));
        let (client, connection) = self.config.connect(NoTls).await.map_err(refused)?;
        let following = tokio::spawn(connection);
        let ran = client.batch_execute(sql).await.map_err(refused);
        drop(client);
        // The connection ends with its client; how is of no interest any more.
        let _ = following.await;
        ran
    }

    fn pgbench(&self, each: u64) -> Result<String, Failure> {
        let script = std::env::temp_dir().join(format!("tollkeeper-floor-{}.sql", std::process::id()));
        std::fs::write(&script, SCRIPT).map_err(|error| failed(format!("{}: {error}", script.display())))?;
        let mut command = Command::new(&self.pgbench);
        command.args(["-n", "-M", "prepared", "-j", "2", "-D", &format!("workspaces={}", self.workspaces)]);
        command.args(["-c", &self.clients.to_string(), "-t", &each.to_string(), "-f"]).arg(&script);
        // By the environment: arguments are seen by every user of the machine.
        command.envs(environment(&self.config));
        let output = command.output();
        // What is left behind in the temporary directory is the system's to clear.
        let _ = std::fs::remove_file(&script);
        let output = output.map_err(|error| failed(format!("pgbench does not run: {error}")))?;
        if !output.status.success() {
            return Err(failed(format!("pgbench says: {}", String::from_utf8_lossy(&output.stderr).trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Where a database is, in the words of PostgreSQL's own programs.
fn environment(config: &Config) -> Vec<(&'static str, String)> {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
    let mut variables = vec![("PGHOST", hosts.collect::<Vec<_>>().join(","))];
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let texts = [
        ("PGPORT", Some(ports.join(",")).filter(|ports| !ports.is_empty())),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGPASSWORD", password),
        ("PGDATABASE", config.get_dbname().map(str::to_owned)),
    ];
    variables.extend(texts.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if config.get_hosts().len() > 1 {
        variables.push(("PGTARGETSESSIONATTRS", "read-write".to_owned()));
    }
    variables
}

/// pgbench in PATH, else where Debian keeps it, the newest.
fn pgbench() -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&in_path).map(|directory| directory.join("pgbench"));
    if let Some(found) = found.into_iter().find(|path| path.is_file()) {
        return Some(found);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin/pgbench")).collect();
    found.retain(|path| path.is_file());
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
    fn a_database_is_told_by_the_environment() {
        let config = "postgres://ada:secret@a:1,b:2/d".parse().expect("an address");
        let told = environment(&config);
        for variable in [
            ("PGHOST", "a,b"),
            ("PGPORT", "1,2"),
            ("PGUSER", "ada"),
            ("PGPASSWORD", "secret"),
            ("PGDATABASE", "d"),
            ("PGTARGETSESSIONATTRS", "read-write"),
        ] {
            assert!(told.contains(&(variable.0, variable.1.to_owned())), "{variable:?}: {told:?}");
        }
    }
}
