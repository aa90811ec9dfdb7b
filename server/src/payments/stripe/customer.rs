//! The customer: what a workspace is at Stripe, for all that its payer pays with.
//!
//! A customer is made once, and once more after it was deleted at Stripe. All that is sent follows
//! from the workspace, and the key of the call from the workspace and the customer before, so that
//! two servers that make it at once get one. The ledger links it. The card and the automatic
//! top-ups of a customer before end with that. What is made for a customer (pages, cards) is in
//! `place`.

use std::sync::Arc;

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Actor, CardCommand, Command, Customer, PaymentCommand, Payments, Provider, Submission, WorkspaceId,
};

use super::calls::Marks;
use super::client::{CallKey, Client};
use super::error::{StripeError, Why};
use super::objects::ObjectId;
use super::observe::NotObserved;
use super::provider::{Stripe, ledger_name};
use crate::access::secret;
use crate::app::App;

/// A workspace as a payer at Stripe.
pub struct Payer<'a> {
    pub(super) app: &'a App,
    pub(super) stripe: &'a Stripe,
    pub(super) client: &'a Client,
    pub(super) ledger: String,
    pub(super) workspace: &'a WorkspaceId,
}

impl<'a> Payer<'a> {
    /// The payer of a workspace.
    ///
    /// # Errors
    /// No request can be sent.
    pub fn new(
        app: &'a App,
        stripe: &'a Stripe,
        workspace: &'a WorkspaceId,
    ) -> Result<Payer<'a>, NotObserved> {
        let ledger = ledger_name(&app.engine().platform());
        Ok(Payer { app, stripe, client: stripe.client()?, ledger, workspace })
    }

    /// The customer that the workspace is at Stripe, which is made if it was not yet, or if it was
    /// deleted there. A customer that cannot be looked up is not replaced, and neither is one that
    /// Stripe does not know: that is a key of another account, which an operator must look at.
    pub(super) async fn customer(&self) -> Result<ObjectId, NotObserved> {
        let replaces = match self.linked().await? {
            None => None,
            Some(linked) if self.client.customer(&linked).await?.deleted => Some(linked),
            Some(linked) => return Ok(linked),
        };
        let made = self.make_customer(replaces.as_ref()).await?;
        let customer = Customer { provider: Provider::Stripe, id: made.as_str().into() };
        let replaces = replaces.map(|deleted| deleted.as_str().into());
        self.run(PaymentCommand::Card(CardCommand::LinkCustomer { customer, replaces })).await?;
        // Another server may have linked one first. That one counts.
        self.linked().await?.ok_or(NotObserved::Missing)
    }

    async fn linked(&self) -> Result<Option<ObjectId>, NotObserved> {
        Ok(self.payments().await?.customer.as_ref().and_then(|customer| ObjectId::new(&customer.id)))
    }

    /// Makes the customer. One that a lost answer left is linked by nobody, and nobody pays with
    /// it.
    async fn make_customer(&self, replaces: Option<&ObjectId>) -> Result<ObjectId, StripeError> {
        let name = self.workspace.as_str();
        // All that is sent follows from the key, so that the call may be made again.
        let key = match replaces {
            None => self.key("customer", name, 0),
            Some(deleted) => self.key("customer_after", deleted.as_str(), 0),
        };
        let (client, marks) = (self.client, &self.marks(None));
        let make = move |key: CallKey| async move { client.make_customer(name, marks, &key).await };
        self.until_made("customer", key, make).await.map(|customer| customer.id)
    }

    /// Makes a call that moves no money. A server error that comes again may be what Stripe saved
    /// for the key and repeats for a day. Then the call is made under another key. What the first
    /// key may have left is of no use and does no harm.
    pub(super) async fn until_made<T, M: Future<Output = Result<T, StripeError>>>(
        &self,
        call: &str,
        first: CallKey,
        make: impl Fn(CallKey) -> M,
    ) -> Result<T, StripeError> {
        let mut made = make(first.clone()).await;
        for key in [first, self.fresh_key(call)] {
            if matches!(made, Err(StripeError::Unknown(Why::Status(_)))) {
                made = make(key).await;
            }
        }
        made
    }

    pub(super) fn marks<'m>(&'m self, subject: Option<(&'static str, &'m str)>) -> Marks<'m> {
        Marks { ledger: &self.ledger, workspace: self.workspace.as_str(), subject }
    }

    pub(super) fn key(&self, call: &str, id: &str, generation: u32) -> CallKey {
        CallKey::of(&self.ledger, call, id, generation)
    }

    /// A key for a call that moves no money and only says what is to be.
    pub(super) fn fresh_key(&self, call: &str) -> CallKey {
        self.key(call, &unique(), 0)
    }

    pub(super) async fn payments(&self) -> Result<Arc<Payments>, NotObserved> {
        self.app.engine().payments(self.workspace).await?.ok_or(NotObserved::Missing)
    }

    pub(super) async fn run(&self, command: PaymentCommand) -> Result<(), NotObserved> {
        let (workspace, command) = (self.workspace.clone(), Command::Payment(command));
        let submission = Submission { workspace, key: None, actor: Actor::System, command };
        let result = self.app.engine().run(submission, self.app.now()).await?;
        result.map(|_| ()).map_err(|refusal| NotObserved::Refused(refusal.code()))
    }
}

/// A part of a key for a call that moves no money, so that each request makes what it asks for.
pub(super) fn unique() -> String {
    let random: [u8; 16] = secret::random().unwrap_or_default();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
