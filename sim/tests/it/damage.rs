//! Damage of files is detected or harmless, and never a panic.

use rusqlite::Connection;
use tollkeeper_engine::embedded::audit;
use tollkeeper_sim::engines::embedded::run;
use tollkeeper_sim::faults::damage::damages;
use tollkeeper_testkit::scratch::Scratch;

use crate::seeds::seeds;

#[test]
fn damage_is_detected_or_harmless() {
    let mut detected = 0;
    for seed in seeds(4) {
        detected += damages(seed, 200, 30).unwrap_or_else(|found| panic!("{found}")).detected;
    }
    assert!(detected > 20, "{detected} detected damages are too few");
}

/// SQLite cannot notice these changes of the state file; the audit must.
#[test]
fn the_audit_detects_changed_rows_of_the_state_file() {
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
    let mut detected = [0; 10];
    for seed in seeds(4) {
        let whole = Scratch::new();
        run(whole.path(), seed, 400).unwrap_or_else(|found| panic!("{found}"));
        for (sql, detected) in changes.iter().zip(&mut detected) {
            let copy = Scratch::new();
            for file in ["journal.db", "state.db"] {
                std::fs::copy(whole.path().join(file), copy.path().join(file)).expect("a copy");
            }
            let state = Connection::open(copy.path().join("state.db")).expect("the database opens");
            let changed = state.execute(sql, []).expect("the statement runs");
            drop(state);
            let report = audit(copy.path()).expect("the directory can be read");
            assert_eq!(report.disagreement.is_some(), changed > 0, "seed {seed}: {sql}");
            *detected += changed;
        }
    }
    let idle: Vec<_> = changes.iter().zip(detected).filter(|(_, detected)| *detected == 0).collect();
    assert!(idle.is_empty(), "these statements changed no row: {idle:?}");
}
