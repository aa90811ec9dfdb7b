//! The tests of the disk itself: a table in a WAL database, crashed after every operation.
//!
//! Every row is one commit; its acknowledgement is the length of the log right after it. Without
//! syncs the same table must lose rows, which shows that the images are not too kind.
//! Not here: the databases of the engine, which `faults/crash.rs` crashes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{CrashImage, Disk, Fault, Op, Survivors};
use crate::random::Random;
use tollkeeper_testkit::scratch::Scratch;

fn database(scratch: &Scratch) -> PathBuf {
    scratch.path().join("rows.db")
}

fn open(path: &Path, disk: &Disk, synchronous: &str) -> Connection {
    let connection = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), disk.name())
        .expect("the database opens through the disk");
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA wal_autocheckpoint = 12;
             CREATE TABLE IF NOT EXISTS row (number INTEGER PRIMARY KEY, filling BLOB) STRICT;"
        ))
        .expect("the table is made");
    connection
}

fn insert(connection: &Connection, number: u32) -> rusqlite::Result<usize> {
    // Contents of different lengths, some over several pages.
    let filling = vec![0xa5_u8; usize::try_from(number * 397 % 3000).expect("small")];
    connection.execute("INSERT INTO row VALUES (?1, ?2)", (number, filling))
}

/// The rows of a database opened through the system's VFS, or the error of the integrity check.
fn recovered(path: &Path) -> Result<BTreeSet<u32>, String> {
    let read = || -> rusqlite::Result<(String, BTreeSet<u32>)> {
        let connection = Connection::open(path)?;
        // This image is not crashed again.
        connection.execute_batch("PRAGMA synchronous = OFF")?;
        let integrity = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        let has_table = "SELECT count(*) FROM sqlite_schema WHERE name = 'row'";
        if connection.query_row(has_table, (), |row| row.get::<_, u32>(0))? == 0 {
            return Ok((integrity, BTreeSet::new()));
        }
        let mut statement = connection.prepare("SELECT number FROM row")?;
        let rows = statement.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok((integrity, rows))
    };
    match read() {
        Ok((integrity, rows)) if integrity == "ok" => Ok(rows),
        Ok((integrity, _)) => Err(integrity),
        Err(error) => Err(error.to_string()),
    }
}

fn rows_in(image: &CrashImage) -> Result<BTreeSet<u32>, String> {
    let scratch = Scratch::new();
    image.write_to(scratch.path()).expect("the image is written");
    recovered(&database(&scratch))
}

/// Inserts `count` rows, one commit each, and returns the length of the log at each
/// acknowledgement.
fn acknowledged_rows(disk: &Disk, scratch: &Scratch, synchronous: &str, count: u32) -> Vec<usize> {
    let connection = open(&database(scratch), disk, synchronous);
    let acknowledged = (0..count)
        .map(|number| {
            insert(&connection, number).expect("the disk works");
            disk.op_count()
        })
        .collect();
    connection.close().expect("nothing is in use");
    acknowledged
}

/// True if the rows are the first ones in the order of insertion.
fn is_prefix(rows: &BTreeSet<u32>) -> bool {
    rows.iter().copied().eq(0..u32::try_from(rows.len()).expect("small"))
}

#[test]
fn acknowledged_rows_survive_a_crash_behind_any_operation() {
    let (disk, scratch) = (Disk::new("crash-everywhere"), Scratch::new());
    let acknowledged = acknowledged_rows(&disk, &scratch, "FULL", 40);
    let mut random = Random::new(1);
    for op_index in 0..=disk.op_count() {
        let owed = acknowledged.iter().filter(|count| **count <= op_index).count();
        for survivors in Survivors::EACH {
            for _ in 0..if survivors == Survivors::Scattered { 3 } else { 1 } {
                let rows = rows_in(&disk.crash_with(op_index, survivors, &mut random));
                let rows = rows.unwrap_or_else(|wrong| panic!("{op_index} {survivors:?}: {wrong}"));
                assert!(is_prefix(&rows), "{op_index} {survivors:?}: {rows:?}");
                assert!(
                    rows.len() == owed || rows.len() == owed + 1,
                    "{op_index} {survivors:?}: {owed} acknowledged, {} there",
                    rows.len()
                );
            }
        }
    }
    let log = disk.log();
    let checkpoints = log.iter().filter(|op| matches!(op, Op::Sync { file } if &**file == "rows.db"));
    assert!(checkpoints.count() > 3, "the crashes also fell into checkpoints");
}

#[test]
fn a_normal_database_loses_only_the_last_rows_and_a_killed_process_none() {
    let (disk, scratch) = (Disk::new("crash-normal"), Scratch::new());
    let acknowledged = acknowledged_rows(&disk, &scratch, "NORMAL", 40);
    let mut random = Random::new(2);
    let mut lost = 0;
    for op_index in 0..=disk.op_count() {
        let owed = acknowledged.iter().filter(|count| **count <= op_index).count();
        let rows = rows_in(&disk.crash_at(op_index, &mut random));
        let rows = rows.unwrap_or_else(|wrong| panic!("{op_index}: {wrong}"));
        assert!(is_prefix(&rows), "{op_index}: {rows:?}");
        lost += owed.saturating_sub(rows.len());
        let rows = rows_in(&disk.process_killed_at(op_index)).expect("a killed process loses nothing");
        assert!(is_prefix(&rows) && rows.len() >= owed, "{op_index}: {owed} acknowledged, {rows:?}");
    }
    assert!(lost > 0, "a commit that is not synced can be lost");
}

#[test]
fn without_syncs_rows_are_lost() {
    let (disk, scratch) = (Disk::new("crash-off"), Scratch::new());
    let acknowledged = acknowledged_rows(&disk, &scratch, "OFF", 40);
    let mut random = Random::new(3);
    let (mut lost, mut corrupt) = (0, 0);
    for op_index in 0..=disk.op_count() {
        let owed = acknowledged.iter().filter(|count| **count <= op_index).count();
        match rows_in(&disk.crash_with(op_index, Survivors::Scattered, &mut random)) {
            Ok(rows) if rows.len() < owed => lost += 1,
            Ok(_) => {}
            Err(_) => corrupt += 1,
        }
    }
    assert!(lost > 0 && corrupt > 0, "{lost} lost, {corrupt} corrupt");
}

#[test]
fn equal_seeds_give_equal_images() {
    let (disk, scratch) = (Disk::new("equal-seeds"), Scratch::new());
    acknowledged_rows(&disk, &scratch, "NORMAL", 12);
    let images = |seed| {
        let mut random = Random::new(seed);
        let images = (0..=disk.op_count()).map(|op_index| disk.crash_at(op_index, &mut random));
        images.collect::<Vec<_>>()
    };
    assert_eq!(images(5), images(5));
    assert_ne!(images(5), images(6));
}

#[test]
fn the_log_replays_to_the_content_of_the_files() {
    let (disk, scratch) = (Disk::new("log-is-exact"), Scratch::new());
    let connection = open(&database(&scratch), &disk, "NORMAL");
    for number in 0..20 {
        insert(&connection, number).expect("the disk works");
    }
    let image = disk.process_killed_at(disk.op_count());
    assert_eq!(image.names().collect::<Vec<_>>(), ["rows.db", "rows.db-wal"]);
    for name in image.names() {
        let held = fs::read(scratch.path().join(name)).expect("the file is there");
        assert!(image.file(name) == Some(held.as_slice()), "{name}");
    }
    connection.close().expect("nothing is in use");
    let image = disk.process_killed_at(disk.op_count());
    assert_eq!(image.names().collect::<Vec<_>>(), ["rows.db"]);
}

#[test]
fn a_disk_records_files_that_existed_before() {
    let (first, scratch) = (Disk::new("before"), Scratch::new());
    acknowledged_rows(&first, &scratch, "FULL", 30);
    let restarted = Scratch::new();
    let image = first.process_killed_at(first.op_count() / 2);
    image.write_to(restarted.path()).expect("the image is written");
    let before = rows_in(&image).expect("a killed process loses nothing").len();

    let second = Disk::new("after");
    let connection = open(&database(&restarted), &second, "FULL");
    insert(&connection, 1000).expect("the disk works");
    let acknowledged = second.op_count();
    assert!(matches!(second.log()[0], Op::Found { .. }));
    let mut random = Random::new(4);
    let rows = rows_in(&second.crash_with(acknowledged, Survivors::None, &mut random));
    let rows = rows.expect("the database is sound");
    assert_eq!(rows.len(), before + 1);
    assert!(rows.contains(&1000));
    assert!(image.write_to(restarted.path()).is_err(), "an image goes into an empty directory only");
}

#[test]
fn a_fault_is_an_error_until_it_is_healed() {
    let (disk, scratch) = (Disk::new("faults"), Scratch::new());
    let connection = open(&database(&scratch), &disk, "FULL");
    let mut expected = BTreeSet::new();
    let mut number = 0;
    for successes in 0..25 {
        let faults = [
            (Fault::DiskFull { after_writes: successes }, ErrorCode::DiskFull),
            (Fault::WriteError { after_writes: successes }, ErrorCode::SystemIoFailure),
            (Fault::SyncError { after_syncs: successes }, ErrorCode::SystemIoFailure),
        ];
        for (fault, code) in faults {
            disk.fail(fault);
            let refused_before = disk.refused();
            while disk.refused() == refused_before {
                number += 1;
                match insert(&connection, number) {
                    // A checkpoint after the commit may have met the fault; the row is committed
                    // anyway.
                    Ok(_) => assert!(expected.insert(number)),
                    Err(error) => assert_eq!(error.sqlite_error_code(), Some(code)),
                }
            }
            disk.heal();
            number += 1;
            insert(&connection, number).expect("the disk works again");
            assert!(expected.insert(number));
            let acknowledged = disk.crash_with(disk.op_count(), Survivors::None, &mut Random::new(0));
            assert_eq!(rows_in(&acknowledged).as_ref(), Ok(&expected));
        }
    }
}

#[test]
fn a_reader_and_a_writer_share_a_database() {
    let (disk, scratch) = (Disk::new("two-threads"), Scratch::new());
    let path = database(&scratch);
    let writer = open(&path, &disk, "NORMAL");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags_and_vfs(&path, flags, disk.name())
                .expect("a second connection opens");
            let mut seen = 0;
            while seen < 300 {
                let count = "SELECT count(*) FROM row";
                let now = reader.query_row(count, (), |row| row.get(0)).expect("reading never waits");
                assert!(seen <= now, "no row vanishes");
                seen = now;
            }
            assert!(insert(&reader, 1000).is_err(), "the reader cannot write");
        });
        for number in 0..300 {
            insert(&writer, number).expect("the disk works");
        }
    });
    assert_eq!(rows_in(&disk.process_killed_at(disk.op_count())).map(|rows| rows.len()), Ok(300));
}

#[test]
fn a_dropped_disk_and_another_directory_are_refused() {
    let (disk, scratch, elsewhere) = (Disk::new("dropped"), Scratch::new(), Scratch::new());
    let flags = OpenFlags::default();
    let connection = open(&database(&scratch), &disk, "FULL");
    assert!(
        Connection::open_with_flags_and_vfs(database(&elsewhere), flags, disk.name()).is_err(),
        "one disk, one directory"
    );
    drop(disk);
    insert(&connection, 1).expect("what is open goes on");
    assert!(Connection::open_with_flags_and_vfs(database(&scratch), flags, "dropped").is_err());
    drop(connection);
    drop(Disk::new("dropped"));
}
