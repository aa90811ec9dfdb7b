//! The deliveries of an engine that has none, such as a decorator of other engines.

use tollkeeper_ledger::Timestamp;

use super::{
    Deliveries, DeliveryNotes, DeliveryPortion, FollowedEntry, JournalPlace, Subscriber, SubscriberState,
};
use crate::Error;
use crate::contract::BoxFuture;

/// Deliveries that fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoDeliveries;

fn refused<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(std::future::ready(Err(Error::unavailable("this engine delivers nothing"))))
}

impl Deliveries for NoDeliveries {
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>> {
        refused()
    }

    fn distribute(&self) -> BoxFuture<'_, Result<(), Error>> {
        // Nobody is given anything.
        Box::pin(std::future::ready(Ok(())))
    }

    fn take_turn(
        &self,
        _: Subscriber,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SubscriberState>, Error>> {
        refused()
    }

    fn portion(&self, _: Subscriber, _: usize) -> BoxFuture<'_, Result<DeliveryPortion, Error>> {
        refused()
    }

    fn note(
        &self,
        _: Subscriber,
        _: DeliveryNotes,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        refused()
    }

    fn state(&self, _: Subscriber) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        refused()
    }

    fn entry_at(&self, _: JournalPlace) -> BoxFuture<'_, Result<Option<FollowedEntry>, Error>> {
        refused()
    }

    fn committed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}
