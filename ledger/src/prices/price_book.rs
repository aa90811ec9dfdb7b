//! The price book: versions of the list of operations and their prices (P2).
//!
//! A charge records the version that priced it. A version never changes, so that every charge can
//! be explained later. Who may set prices, and which prices are allowed, is decided in
//! `decide::prices`.

use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Micros, OperationId, Price, Timestamp};

/// An operation with its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The id of the operation, chosen by the platform.
    pub id: OperationId,
    /// What it costs.
    pub price: Price,
    /// If set, every charge stays pending for this many seconds unless an outcome comes.
    pub timeout_seconds: Option<u32>,
}

/// One version of the whole list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceVersion {
    /// The number of the version: 1, 2, 3 …
    pub version: u32,
    /// The instant from which the version prices charges.
    pub effective_at: Timestamp,
    /// The operations, sorted by id. An operation that is not among them is retired.
    pub operations: Vec<Operation>,
}

impl PriceVersion {
    /// The operation with this id; `None` if it is unknown or retired.
    #[must_use]
    pub fn find(&self, id: &OperationId) -> Option<&Operation> {
        let index = self.operations.binary_search_by(|operation| operation.id.cmp(id)).ok()?;
        Some(&self.operations[index])
    }

    /// Asserts what [`PriceVersion::find`] relies on.
    pub(crate) fn assert_sorted(&self) {
        assert!(self.version > 0, "price versions must be numbered from 1");
        assert!(
            self.operations.is_sorted_by(|a, b| a.id < b.id),
            "the operations of a price version must be sorted, each once"
        );
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.unsigned(u64::from(self.version));
        w.time(self.effective_at);
        w.list(&self.operations, |w, operation| operation.write(w));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<PriceVersion, Malformed> {
        let version = u32::try_from(r.unsigned("a price version")?);
        Ok(PriceVersion {
            version: version.map_err(|_| Malformed("a price version"))?,
            effective_at: r.time("a price version's time")?,
            operations: r.list("the operations", Operation::read)?,
        })
    }
}

/// The byte behind the unit price of an operation: what follows it. A price that is not plain has a
/// unit price of zero there, and is written at the end.
const HAS_TIMEOUT: u8 = 1;
const IS_METERED: u8 = 2;

impl Operation {
    fn write(&self, w: &mut Writer) {
        let Operation { id, price, timeout_seconds } = self;
        w.text(id.as_str());
        w.micros(price.unit_price().unwrap_or(Micros::ZERO));
        let has_timeout = if timeout_seconds.is_some() { HAS_TIMEOUT } else { 0 };
        w.byte(has_timeout | if price.is_plain() { 0 } else { IS_METERED });
        if let Some(seconds) = timeout_seconds {
            w.signed((*seconds).into());
        }
        if !price.is_plain() {
            price.write_metered(w);
        }
    }

    fn read(r: &mut Reader) -> Result<Operation, Malformed> {
        let id = OperationId::known(r.text("an operation")?);
        let unit_price = r.micros("a unit price")?;
        let follows = r.byte("what follows a unit price")?;
        if follows & !(HAS_TIMEOUT | IS_METERED) != 0 {
            return Err(Malformed("what follows a unit price"));
        }
        let timeout_seconds = match follows & HAS_TIMEOUT {
            0 => None,
            _ => Some(u32::try_from(r.signed("a timeout")?).map_err(|_| Malformed("a timeout"))?),
        };
        let price = match follows & IS_METERED {
            0 => Price::from(unit_price),
            _ if unit_price == Micros::ZERO => Price::read_metered(r)?,
            _ => return Err(Malformed("a unit price")),
        };
        Ok(Operation { id, price, timeout_seconds })
    }
}

/// Reads an optional number of seconds.
pub(crate) fn read_seconds(r: &mut Reader) -> Result<Option<u32>, Malformed> {
    let seconds = r.maybe_signed("a timeout")?.map(u32::try_from);
    seconds.transpose().map_err(|_| Malformed("a timeout"))
}

/// All versions of the prices, oldest first.
///
/// ```
/// use tollkeeper_ledger::{PriceBook, Timestamp};
///
/// let price_book = PriceBook::default();
/// assert!(price_book.versions().is_empty());
/// // Before the first version nothing has a price, so every charge is refused.
/// assert!(price_book.in_force(Timestamp::from_millis(1_767_225_600_000)).is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceBook {
    versions: Vec<PriceVersion>,
    /// Indexes of the versions in the order in which they come into force: by time, the later
    /// number last among equal ones.
    order: Vec<u32>,
}

impl PriceBook {
    /// All versions, oldest first; version `n` has index `n - 1`.
    #[must_use]
    pub fn versions(&self) -> &[PriceVersion] {
        &self.versions
    }

    /// The version that prices a charge at `now`: of those whose time has come, the one with the
    /// latest time, and among equal times the later number. A planned version comes into force at
    /// its time, also if another was published meanwhile. The first prices are in force from the
    /// beginning of time, so that a clock that was ahead when they were published leaves no time
    /// without prices.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> Option<&PriceVersion> {
        let effective = self.ordered().rev().find(|version| version.effective_at <= now);
        effective.or(self.versions.first())
    }

    /// The versions that this one replaces before they come into force: the earlier ones with the
    /// same time.
    pub fn replaced_by(&self, version: &PriceVersion) -> impl Iterator<Item = &PriceVersion> {
        let (effective_at, number) = (version.effective_at, version.version);
        self.ordered().filter(move |other| other.effective_at == effective_at && other.version < number)
    }

    /// The version that supersedes this one: the next that comes into force.
    #[must_use]
    pub fn successor(&self, version: &PriceVersion) -> Option<&PriceVersion> {
        let place = |version: &PriceVersion| (version.effective_at, version.version);
        self.ordered().find(|other| place(other) > place(version))
    }

    fn ordered(&self) -> impl DoubleEndedIterator<Item = &PriceVersion> {
        self.order.iter().map(|index| &self.versions[*index as usize])
    }

    /// Adds the next version.
    ///
    /// # Errors
    /// [`Violation`] if it has another number than the next one, or its operations are not sorted.
    pub(crate) fn add(&mut self, version: PriceVersion) -> Result<(), Violation> {
        let next = self.versions.len();
        ensure(version.version as usize == next + 1, "a price version is not numbered by the one before it")?;
        let sorted = version.operations.is_sorted_by(|a, b| a.id < b.id);
        ensure(sorted, "the operations of a price version are not sorted, each once")?;
        let before = |index: &u32| self.versions[*index as usize].effective_at <= version.effective_at;
        let place = self.order.partition_point(before);
        self.order.insert(place, version.version - 1);
        self.versions.push(version);
        assert!(self.order.len() == self.versions.len(), "every price version must have its place in time");
        Ok(())
    }
}
