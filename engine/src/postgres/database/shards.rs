//! The shards of a database that is distributed by Citus: which workspaces are stored together.
//!
//! Citus gives each shard a range of the hash of the workspace. All tables with a workspace are
//! divided at the same places, so a transaction about workspaces of one shard is one node's
//! transaction. A batch is therefore divided by shard before it is run.
//!
//! A list that is out of date is no danger: Citus refuses a statement about several shards that it
//! cannot run on one node. The session is then opened again and reads the shards anew.

use tokio_postgres::Client;

use super::failure::Failure;
use super::session::{column, with_timeout};

/// The least hash of each shard of the table `entry`, in their order. No row if the table is not
/// distributed.
const BEGINS: &str = "SELECT shardminvalue::integer FROM pg_dist_shard
    WHERE logicalrelid = to_regclass('entry') AND shardminvalue IS NOT NULL ORDER BY 1";

/// The shards of a database. A database that is not distributed has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shards {
    /// The least hash of each. A shard ends where the next one begins.
    begins: Vec<i32>,
}

impl Shards {
    /// Reads the shards of a database that has Citus.
    pub(crate) async fn read(client: &Client) -> Result<Shards, Failure> {
        let rows = with_timeout(client.query(BEGINS, &[])).await??;
        let begins = rows.iter().map(|row| column(row, 0)).collect::<Result<Vec<i32>, _>>()?;
        assert!(begins.is_sorted_by(|a, b| a < b), "no two shards begin at the same hash");
        Ok(Shards { begins })
    }

    /// The number of shards; 0 if the tables are not distributed.
    pub(crate) fn count(&self) -> usize {
        self.begins.len()
    }

    /// The index of the shard of a workspace; 0 if the tables are not distributed.
    pub(crate) fn of(&self, workspace: &str) -> usize {
        let hash = hash_text(workspace.as_bytes());
        self.begins.partition_point(|begin| *begin <= hash).saturating_sub(1)
    }

    /// Divides items by the shards of their workspaces. The items of a shard keep their order.
    /// No part is empty.
    pub(crate) fn divide<T>(&self, items: Vec<T>, workspace: impl Fn(&T) -> &str) -> Vec<Vec<T>> {
        if items.is_empty() {
            return Vec::new();
        }
        if self.begins.len() < 2 || items.len() == 1 {
            return vec![items];
        }
        let mut parts: Vec<Vec<T>> = self.begins.iter().map(|_| Vec::new()).collect();
        for item in items {
            let shard = self.of(workspace(&item));
            parts[shard].push(item);
        }
        parts.retain(|part| !part.is_empty());
        parts
    }
}

/// PostgreSQL's `hashtext` on a little-endian machine: the hash of Bob Jenkins (lookup3), with
/// PostgreSQL's initial value.
fn hash_text(bytes: &[u8]) -> i32 {
    let begin = 0x9e37_79b9_u32.wrapping_add(bytes.len() as u32).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) = (begin, begin, begin);
    let (blocks, rest) = bytes.as_chunks::<12>();
    for block in blocks {
        a = a.wrapping_add(word(&block[..4]));
        b = b.wrapping_add(word(&block[4..8]));
        c = c.wrapping_add(word(&block[8..]));
        (a, c) = ((a.wrapping_sub(c)) ^ c.rotate_left(4), c.wrapping_add(b));
        (b, a) = ((b.wrapping_sub(a)) ^ a.rotate_left(6), a.wrapping_add(c));
        (c, b) = ((c.wrapping_sub(b)) ^ b.rotate_left(8), b.wrapping_add(a));
        (a, c) = ((a.wrapping_sub(c)) ^ c.rotate_left(16), c.wrapping_add(b));
        (b, a) = ((b.wrapping_sub(a)) ^ a.rotate_left(19), a.wrapping_add(c));
        (c, b) = ((c.wrapping_sub(b)) ^ b.rotate_left(4), b.wrapping_add(a));
    }
    let part = |from: usize, to: usize| word(&rest[from.min(rest.len())..to.min(rest.len())]);
    a = a.wrapping_add(part(0, 4));
    b = b.wrapping_add(part(4, 8));
    // The lowest byte of `c` is that of the length.
    c = c.wrapping_add(part(8, 11) << 8);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    c as i32
}

/// Up to four bytes as a number, the lowest first.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_database() {
        // SELECT hashtext(…) of PostgreSQL 15.
        let hashes = [
            ("acme", -1_850_687_378),
            ("", -1_477_818_771),
            ("workspace-000000000001", 773_778_399),
            ("*", -1_671_085_751),
            ("exactly12byt", 804_910_449),
            ("a-workspace-with-a-very-long-name-indeed-0123456789", -1_039_066_532),
        ];
        for (text, hash) in hashes {
            assert_eq!(hash_text(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn items_are_divided_by_shard_and_keep_their_order() {
        let shards = Shards { begins: vec![i32::MIN, -1_073_741_824, 0, 1_073_741_824] };
        let items: Vec<(usize, String)> = (0..100).map(|n| (n, format!("w{}", n % 50))).collect();
        fn workspace((_, name): &(usize, String)) -> &str {
            name
        }
        let parts = shards.divide(items.clone(), workspace);
        assert_eq!((parts.len(), parts.iter().map(Vec::len).sum::<usize>()), (4, 100));
        for part in &parts {
            assert!(part.is_sorted_by_key(|(place, _)| *place));
            let shard = shards.of(&part[0].1);
            assert!(part.iter().all(|(_, name)| shards.of(name) == shard));
        }
        assert_eq!(Shards::default().divide(items, workspace).len(), 1);
        assert!(shards.divide(Vec::new(), workspace).is_empty());
    }
}
