//! The price book: operations and their prices, by version.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::routes;
use crate::types::{PriceBook, PriceBookRequest, PriceSimulation, PriceSimulationRequest};

/// The price book of the platform.
#[derive(Clone, Debug)]
pub struct PriceBooks(pub(crate) OfPlatform);

impl PriceBooks {
    /// Gets the prices in force.
    pub fn get(&self) -> Call<PriceBook> {
        self.0.call(&routes::GET_PRICE_BOOK, &[])
    }

    /// Publishes prices as a new version. It is not repeated if the answer is lost: that could make
    /// two versions.
    pub fn publish(&self, request: &PriceBookRequest) -> Call<PriceBook> {
        self.0.call(&routes::PUT_PRICE_BOOK, &[]).body(request).repeatable(false)
    }

    /// Lists the versions, newest first.
    pub fn versions(&self) -> List<PriceBook> {
        self.0.list(routes::GET_PRICE_BOOK_VERSIONS, &[], &())
    }

    /// Says what past charges would have cost by other prices. Moves no credit.
    pub fn simulate(&self, request: &PriceSimulationRequest) -> Call<PriceSimulation> {
        self.0.call(&routes::POST_PRICE_BOOK_SIMULATE, &[]).body(request).repeatable(true)
    }
}
