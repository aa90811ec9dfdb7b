//! The price book: versions of the list of operations and their unit prices (P2). A charge records the version that
//! priced it; a version never changes, so that an old charge can always be explained.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Micros, OperationId, Timestamp};

/// Something with a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// What one unit costs.
    pub unit_price: Micros,
    /// If set, every charge awaits an outcome for so long.
    pub timeout_seconds: Option<u32>,
}

/// One edition of the whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceVersion {
    /// 1, 2, 3 …
    pub version: u32,
    /// From when on it prices charges.
    pub effective_at: Timestamp,
    /// Sorted by id. An operation that is not in it is retired.
    pub operations: Vec<Operation>,
}

impl PriceVersion {
    /// The operation of this name.
    #[must_use]
    pub fn find(&self, id: &OperationId) -> Option<&Operation> {
        let place = self.operations.binary_search_by(|operation| operation.id.cmp(id)).ok()?;
        Some(&self.operations[place])
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.unsigned(u64::from(self.version));
        w.time(self.effective_at);
        w.list(&self.operations, |w, operation| {
            w.text(operation.id.as_str());
            w.micros(operation.unit_price);
            w.maybe_signed(operation.timeout_seconds.map(i64::from));
        });
    }

    pub(crate) fn read(r: &mut Reader) -> Result<PriceVersion, Malformed> {
        let version = u32::try_from(r.unsigned("a price version")?);
        Ok(PriceVersion {
            version: version.map_err(|_| Malformed("a price version"))?,
            effective_at: r.time("a price version's time")?,
            operations: r.list("the operations", |r| {
                Ok(Operation {
                    id: OperationId::known(r.text("an operation")?),
                    unit_price: r.micros("a unit price")?,
                    timeout_seconds: read_seconds(r)?,
                })
            })?,
        })
    }
}

pub(crate) fn read_seconds(r: &mut Reader) -> Result<Option<u32>, Malformed> {
    let seconds = r.maybe_signed("a timeout")?.map(u32::try_from);
    seconds.transpose().map_err(|_| Malformed("a timeout"))
}

/// All versions, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceBook {
    versions: Vec<PriceVersion>,
}

impl PriceBook {
    /// All versions, oldest first.
    #[must_use]
    pub fn versions(&self) -> &[PriceVersion] {
        &self.versions
    }

    /// The version that prices a charge now: the newest whose time has come.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> Option<&PriceVersion> {
        self.versions.iter().rev().find(|version| version.effective_at <= now)
    }

    pub(crate) fn add(&mut self, version: PriceVersion) {
        assert!(
            version.version as usize == self.versions.len() + 1,
            "price versions are numbered without gaps"
        );
        self.versions.push(version);
    }
}
