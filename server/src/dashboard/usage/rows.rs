//! The table of use: a row for each name, the largest first, and the total.

use tollkeeper_engine::UsageGroup;
use tollkeeper_ledger::UsageSums;

use super::question::{By, Question};
use crate::dashboard::names::Names;
use crate::dashboard::words::UsageWords;
use crate::language::Format;
use crate::reports::usage::UsageTable;
use crate::reports::usage::series::net;

/// The most rows with a name of their own. The comma-separated values have all.
const ROWS_MAX: usize = 50;

/// The table.
pub struct Rows {
    pub rows: Vec<Row>,
    /// The sums of the names without a row of their own.
    pub others: Option<Row>,
    pub total: Row,
}

/// A row.
pub struct Row {
    pub name: String,
    /// The same question about this name alone; `None` for a row of several names.
    pub href: Option<String>,
    pub runs: String,
    pub quantity: String,
    pub charged: String,
    pub refunded: String,
    pub net: String,
}

/// How a name is shown.
pub fn name_of(by: By, part: &UsageGroup, names: &Names, words: &UsageWords) -> String {
    let name = match by {
        By::Operation => part.operation.as_ref().map(ToString::to_string),
        By::Worker => part.worker.as_ref().map(ToString::to_string),
        By::Member => part.member.as_ref().map(|member| names.member(member).to_owned()),
        By::Key => part.api_key.map(|key| names.key(key)),
    };
    name.unwrap_or_else(|| (words.without)(by.name()).to_owned())
}

impl Row {
    fn of(name: String, sums: UsageSums, format: &Format) -> Row {
        let UsageSums { runs, quantity, charged, refunded } = sums;
        Row {
            name,
            href: None,
            runs: format.number(runs),
            quantity: format.number(quantity),
            charged: format.usd(charged),
            refunded: format.usd(refunded),
            net: format.usd(net(sums)),
        }
    }
}

impl Rows {
    /// The rows of a table.
    pub fn of(
        table: &UsageTable,
        question: &Question,
        names: &Names,
        words: &UsageWords,
        format: &Format,
    ) -> Rows {
        let by = question.by;
        let mut all = table.by_name();
        let beyond = all.split_off(all.len().min(ROWS_MAX));
        let mut others = UsageSums::default();
        beyond.iter().for_each(|(_, sums)| others.add(*sums));
        let row = |(part, sums): (UsageGroup, UsageSums)| {
            let mut alone = question.clone();
            let is_name = alone.set(by, &by.value(&part)).is_some() && alone != *question;
            let href = is_name.then(|| alone.address(super::PATH));
            Row { href, ..Row::of(name_of(by, &part, names, words), sums, format) }
        };
        Rows {
            rows: all.into_iter().map(row).collect(),
            others: (!beyond.is_empty()).then(|| Row::of((words.others)(beyond.len()), others, format)),
            total: Row::of(words.total.to_owned(), table.total(), format),
        }
    }
}
