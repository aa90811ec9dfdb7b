//! The deliveries of an engine that has none, such as a decorator of other engines.

use std::sync::Arc;

use tollkeeper_ledger::{Timestamp, WebhookEndpoint};

use super::{Deliveries, DeliveryNotes, DeliveryPortion, FollowedEntry, JournalPlace, SubscriberState};
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
        refused()
    }

    fn take_turn(
        &self,
        _: Arc<WebhookEndpoint>,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SubscriberState>, Error>> {
        refused()
    }

    fn portion(&self, _: Arc<WebhookEndpoint>, _: usize) -> BoxFuture<'_, Result<DeliveryPortion, Error>> {
        refused()
    }

    fn note(
        &self,
        _: Arc<WebhookEndpoint>,
        _: DeliveryNotes,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        refused()
    }

    fn state(&self, _: Arc<WebhookEndpoint>) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        refused()
    }

    fn entry_at(&self, _: JournalPlace) -> BoxFuture<'_, Result<Option<FollowedEntry>, Error>> {
        refused()
    }

    fn committed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}
