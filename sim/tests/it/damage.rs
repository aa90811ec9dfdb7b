//! Damaged files are told or harmless, and never a panic.

use rusqlite::Connection;
use tollkeeper_engine::embedded::audit;
use tollkeeper_sim::engines::embedded::run;
use tollkeeper_sim::faults::damage::damages;
use tollkeeper_testkit::scratch::Scratch;

use crate::seeds::seeds;

#[test]
fn damage_is_told_or_harmless() {
    let mut told = 0;
    for seed in seeds(4) {
        told += damages(seed, 200, 30).unwrap_or_else(|found| panic!("{found}")).detected;
    }
    assert!(told > 20, "{told} are too few: much of a file counts");
}

/// Somebody changes what the state file keeps, in a way that SQLite does not notice: the audit does.
#[test]
fn what_the_state_file_keeps_otherwise_is_told() {
    let changes = [
        "DELETE FROM pending",
        "UPDATE pending SET deadline = deadline + 1",
        "INSERT INTO pending SELECT 1000000, no, 1 FROM account WHERE no > 0 LIMIT 1",
        "UPDATE account SET n = n + 1 WHERE no > 0",
        "UPDATE account SET n = n - 1 WHERE no > 0",
        "DELETE FROM hour",
        "UPDATE hour SET seq = seq - 1 WHERE seq > 1",
        "DELETE FROM team",
        "UPDATE usage SET charged = charged + 1",
        "DELETE FROM run WHERE first = 1",
    ];
    let mut told = [0; 10];
    for seed in seeds(4) {
        let whole = Scratch::new();
        run(whole.path(), seed, 400).unwrap_or_else(|found| panic!("{found}"));
        for (sql, told) in changes.iter().zip(&mut told) {
            let copy = Scratch::new();
            for file in ["journal.db", "state.db"] {
                std::fs::copy(whole.path().join(file), copy.path().join(file)).expect("a copy");
            }
            let state = Connection::open(copy.path().join("state.db")).expect("it opens");
            let changed = state.execute(sql, []).expect("it can be changed");
            drop(state);
            let report = audit(copy.path()).expect("it can be read");
            assert_eq!(report.disagreement.is_some(), changed > 0, "seed {seed}: {sql}");
            *told += changed;
        }
    }
    let idle: Vec<_> = changes.iter().zip(told).filter(|(_, told)| *told == 0).collect();
    assert!(idle.is_empty(), "these changed nothing: {idle:?}");
}
