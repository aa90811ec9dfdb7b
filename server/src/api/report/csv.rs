//! The report as comma-separated values: one number a row, so that a new number is a new row and
//! no column moves.

use std::fmt::Display;

use super::{AccountJson, AgedJson, CreditJson, DebtJson, ReportJson, RevenueJson, UnmatchedJson};
use crate::http::csv::Csv;

/// The report of a month. All fields are names of this program, months, currencies and numbers.
pub(super) fn csv(report: &ReportJson) -> Csv {
    let columns = ["month", "section", "name", "detail", "item", "value", "unit"];
    let mut rows = Rows(Csv::new(&columns, true), report.month.0.to_string());
    for line in &report.revenue {
        rows.money("revenue", line);
    }
    rows.money("revenue_total", &report.revenue_total);
    for line in &report.credit {
        let CreditJson { source, provider, opening, granted, consumed, consumed_free, taken, .. } = line;
        let items = [
            ("opening", opening),
            ("granted", granted),
            ("consumed", consumed),
            ("consumed_free", consumed_free),
            ("taken", taken),
            ("closing", &line.closing),
            ("closing_pending", &line.closing_pending),
        ];
        rows.credit("credit", [source, provider], &items);
    }
    for AccountJson { account, opening, inward, outward, closing } in &report.trial_balance {
        let items = [("opening", opening), ("inward", inward), ("outward", outward), ("closing", closing)];
        rows.credit("trial_balance", [account, ""], &items);
    }
    let DebtJson { opening, arisen, repaid, forgiven, closing } = &report.debt;
    let items = [
        ("opening", opening),
        ("arisen", arisen),
        ("repaid", repaid),
        ("forgiven", forgiven),
        ("closing", closing),
    ];
    rows.credit("debt", ["", ""], &items);
    for AgedJson { bought, last_used, grants, remaining, deferred_usd } in &report.ageing {
        let names = [bought.0.to_string(), last_used.map_or_else(String::new, |month| month.0.to_string())];
        let names = [names[0].as_str(), names[1].as_str()];
        rows.add("ageing", names, "grants", grants, "grants");
        rows.credit("ageing", names, &[("remaining", remaining)]);
        rows.add("ageing", names, "deferred", deferred_usd, "USD");
    }
    for UnmatchedJson { currency, payments, amount } in &report.unmatched {
        rows.add("unmatched", [currency, ""], "payments", payments, "payments");
        // Only letters are the code of a currency.
        rows.add("unmatched", [currency, ""], "amount", amount, &currency.to_uppercase());
    }
    rows.0
}

/// The rows so far, and the month.
struct Rows(Csv, String);

impl Rows {
    fn add(&mut self, section: &str, [name, detail]: [&str; 2], item: &str, value: impl Display, unit: &str) {
        let Rows(csv, month) = self;
        [month, section, name, detail, item].into_iter().for_each(|field| csv.text(field));
        csv.value(value);
        csv.text(unit);
        csv.end_row();
    }

    fn credit(&mut self, section: &str, names: [&str; 2], items: &[(&str, &i128)]) {
        for (item, value) in items {
            self.add(section, names, item, value, "micro-units");
        }
    }

    fn money(&mut self, section: &str, line: &RevenueJson) {
        let names = [line.source.unwrap_or_default(), line.provider.unwrap_or_default()];
        for (item, value) in [
            ("opening_deferred", line.opening_deferred_usd),
            ("sold", line.sold_usd),
            ("tax", line.tax_usd),
            ("refunded", line.refunded_usd),
            ("disputed", line.disputed_usd),
            ("lost", line.lost_usd),
            ("recognised", line.recognised_usd),
            ("closing_deferred", line.closing_deferred_usd),
            ("opening_not_granted", line.opening_not_granted_usd),
            ("closing_not_granted", line.closing_not_granted_usd),
        ] {
            self.add(section, names, item, value, "USD");
        }
    }
}
