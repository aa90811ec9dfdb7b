//! What subscribers are sent, in memory: a place is an index into the list of all entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollkeeper_engine::{
    BoxFuture, Deliveries, DeliveryNotes, DeliveryPortion, Error, FollowedEntry, JournalPlace, Subscriber,
    SubscriberState,
};
use tollkeeper_ledger::{EntryBody, Timestamp, WorkspaceId};

use super::{Memory, State, now};

/// How far subscribers have come, and all entries in order.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Every entry by its workspace and number.
    pub order: Vec<(WorkspaceId, u64)>,
    /// The number of entries that each subscriber is through with, and what failed.
    subscribers: BTreeMap<String, (usize, SubscriberState)>,
}

impl State {
    fn followed(&self, index: usize) -> FollowedEntry {
        let (workspace, n) = &self.delivered.order[index];
        let record = self.stored[workspace].journal[*n as usize - 1].clone();
        let seq = index as u64 + 1;
        let place = JournalPlace { workspace: workspace.clone(), n: *n, seq, hash: record.hash };
        FollowedEntry { place, record }
    }

    /// The number of entries before those of a subscriber's present beginning.
    fn begins(&self, subscriber: &Subscriber) -> usize {
        let Subscriber::Endpoint(endpoint) = subscriber else { return self.delivered.order.len() };
        let is_it = |index: &usize| match &self.followed(*index).record.entry.body {
            EntryBody::WebhookEndpointSet(set) => {
                set.id == endpoint.id && set.beginning == endpoint.beginning
            }
            _ => false,
        };
        (0..self.delivered.order.len()).find(is_it).map_or(0, |index| index + 1)
    }

    fn through(&self, subscriber: &Subscriber) -> usize {
        let known = self.delivered.subscribers.get(&subscriber.name());
        known.map_or_else(|| self.begins(subscriber), |(through, _)| *through)
    }

    fn portion(&self, subscriber: &Subscriber, most: usize) -> DeliveryPortion {
        let mut portion = DeliveryPortion::default();
        for index in self.through(subscriber)..self.delivered.order.len() {
            if portion.entries.len() == most {
                portion.more = true;
                break;
            }
            let followed = self.followed(index);
            portion.end = vec![followed.place.clone()];
            let is_of = subscriber.workspace().is_none_or(|only| *only == followed.place.workspace);
            if is_of && subscriber.follows(&followed.record.entry) {
                portion.entries.push(followed);
            }
        }
        portion
    }

    fn note(&mut self, subscriber: &Subscriber, notes: &DeliveryNotes) -> SubscriberState {
        let through = self.through(subscriber);
        let reached = notes.reached.iter().map(|place| place.seq as usize).max();
        let known = self.delivered.subscribers.entry(subscriber.name()).or_default();
        known.0 = through.max(reached.unwrap_or(0));
        known.1.apply(notes);
        known.1.clone()
    }

    fn kept(&self, subscriber: &Subscriber) -> SubscriberState {
        let known = self.delivered.subscribers.get(&subscriber.name());
        known.map(|(_, state)| state.clone()).unwrap_or_default()
    }

    fn take_turn(&mut self, subscriber: &Subscriber) -> SubscriberState {
        let through = self.through(subscriber);
        self.delivered.subscribers.entry(subscriber.name()).or_insert((through, SubscriberState::default()));
        self.kept(subscriber)
    }
}

impl Deliveries for Memory {
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>> {
        now(())
    }

    fn distribute(&self) -> BoxFuture<'_, Result<(), Error>> {
        let mut state = self.state();
        let platform = Arc::clone(&state.platform);
        let endpoints = platform.webhook_endpoints.iter().cloned().map(Subscriber::Endpoint);
        let known: Vec<String> = endpoints.chain([Subscriber::Mail]).map(|known| known.name()).collect();
        state.delivered.subscribers.retain(|name, _| known.contains(name));
        now(())
    }

    fn take_turn(
        &self,
        subscriber: Subscriber,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SubscriberState>, Error>> {
        now(Some(self.state().take_turn(&subscriber)))
    }

    fn portion(&self, subscriber: Subscriber, most: usize) -> BoxFuture<'_, Result<DeliveryPortion, Error>> {
        now(self.state().portion(&subscriber, most))
    }

    fn note(
        &self,
        subscriber: Subscriber,
        notes: DeliveryNotes,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        now(self.state().note(&subscriber, &notes))
    }

    fn state(&self, subscriber: Subscriber) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        now(Memory::state(self).kept(&subscriber))
    }

    fn entry_at(&self, place: JournalPlace) -> BoxFuture<'_, Result<Option<FollowedEntry>, Error>> {
        let state = self.state();
        let index = (place.seq as usize).checked_sub(1).filter(|index| *index < state.delivered.order.len());
        now(index.map(|index| state.followed(index)).filter(|found| found.place == place))
    }

    fn committed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
