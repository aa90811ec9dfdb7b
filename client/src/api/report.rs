//! The report of a month, for finance.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Report, ReportQuery};

/// The reports of the platform.
#[derive(Clone, Debug)]
pub struct Reports(pub(crate) OfPlatform);

impl Reports {
    /// Reads the report of a month.
    pub fn get(&self, query: &ReportQuery) -> Call<Report> {
        self.0.call(&routes::GET_REPORT, &[]).query(query)
    }

    /// Reads the report of a month as comma-separated values.
    pub fn csv(&self, query: &ReportQuery) -> Call<String> {
        self.0.call(&routes::GET_REPORT, &[]).query(query).text("text/csv")
    }
}
