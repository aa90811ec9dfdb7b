//! Runs a gate in this process: beside a server, on its engine, or alone, against a server
//! elsewhere.
//!
//! Beside a server, a charge takes the path of a request of the API without a socket. An outcome is
//! a command of the platform.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response};
use tokio::net::TcpListener;
use tollkeeper_gate::{
    BoxFuture, ChargedMeter, Charging, Gate, NotOpened, Opened, Outcome, Quantities, ReportError, Settings,
    Unavailable,
};
use tollkeeper_ledger::{
    Actor, ChargeCommand, MeterId, MeterQuantities, Quantity, Refusal, Submission, WorkspaceId,
};
use tollkeeper_server::{App, NewCharge};

use crate::server_process;
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;

/// A gate that listens.
pub struct Listening {
    gate: (Gate, tokio::sync::mpsc::Receiver<()>),
    listener: TcpListener,
    address: SocketAddr,
}

/// The settings of the gate in a file; `None` if the file has none.
pub fn settings(config: &Path) -> Result<Option<Settings>, Failure> {
    Settings::load(config).map_err(|why| server_process::invalid_setting(&why))
}

/// Listens; nothing is accepted yet.
pub async fn listen(settings: Settings, charging: Arc<dyn Charging>) -> Result<Listening, Failure> {
    let (listener, address) = server_process::listen(&settings.listen).await?;
    let gate = Gate::new(settings, charging).map_err(|why| {
        Failure::new(Exit::Unavailable, "the gate cannot open encrypted connections").because(why)
    })?;
    Ok(Listening { gate, listener, address })
}

impl Listening {
    /// Prints the line that says where the gate listens.
    pub fn announce(&self) -> Result<(), Failure> {
        output::data(&format!("gate listening on http://{}\n", self.address))
    }

    /// Serves until `stop` resolves, then answers the requests that were charged.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        tollkeeper_gate::serve(self.gate, self.listener, stop).await;
    }
}

/// The API of a server in this process.
pub struct LocalApi {
    app: Arc<App>,
    router: tollkeeper_server::Router,
}

impl LocalApi {
    /// The API of this server.
    pub fn new(app: &Arc<App>) -> LocalApi {
        LocalApi { app: Arc::clone(app), router: tollkeeper_server::router(Arc::clone(app)) }
    }
}

impl LocalApi {
    /// Runs a command on a charge, as the platform.
    async fn run(&self, charge: &Opened, command: ChargeCommand) -> Result<(), ReportError> {
        let id = charge.id.parse();
        let id = id.map_err(|()| ReportError::Refused("the id of the charge is not valid".to_owned()))?;
        let workspace = WorkspaceId::new(&charge.workspace)
            .map_err(|_| ReportError::Refused("the id of the workspace is not valid".to_owned()))?;
        let command = command.for_charge(id);
        let submission = Submission { workspace, key: None, actor: Actor::Platform, command };
        match self.app.engine().run(submission, server_process::now()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(refusal)) => Err(not_taken(&refusal)),
            Err(error) => Err(ReportError::Later(error.to_string())),
        }
    }
}

/// Why the ledger refuses a report.
fn not_taken(refusal: &Refusal) -> ReportError {
    let code = refusal.code().to_owned();
    match refusal {
        Refusal::UsedQuantityOutOfRange | Refusal::QuantityOutOfRange | Refusal::InvalidField { .. } => {
            ReportError::Quantities(code)
        }
        _ => ReportError::Refused(code),
    }
}

/// The response of the API with its whole body.
async fn whole(response: Response<Body>) -> Result<Response<Bytes>, Unavailable> {
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.map_err(|why| Unavailable(why.to_string()))?;
    Ok(Response::from_parts(head, bytes))
}

/// A new charge as the gate knows it.
fn opened(NewCharge { workspace, charge, balance }: &NewCharge) -> Opened {
    let details = &charge.details;
    let meters = details.price.meters().iter().map(|meter| ChargedMeter {
        id: meter.id.as_str().to_owned(),
        unit_price: meter.rate.unit_price.get(),
    });
    Opened {
        workspace: workspace.as_str().to_owned(),
        id: details.id.to_string(),
        amount: details.amount.get(),
        balance: balance.available.get(),
        meters: meters.collect(),
        replayed: None,
    }
}

impl Charging for LocalApi {
    fn charge(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Opened, NotOpened>> {
        Box::pin(async move {
            match tollkeeper_server::charge(&self.router, request.map(Body::from)).await {
                Ok(new) => Ok(opened(&new)),
                Err(response) => Opened::of_answer(whole(response).await?),
            }
        })
    }

    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, Unavailable>> {
        Box::pin(async move { whole(self.router.answer(request.map(Body::from)).await).await })
    }

    fn report<'a>(&'a self, charge: &'a Opened, outcome: Outcome) -> BoxFuture<'a, Result<(), ReportError>> {
        let detail = outcome.detail().map(String::into_boxed_str);
        let command = match outcome {
            Outcome::Succeeded => ChargeCommand::Succeed { quantity: None },
            Outcome::UserFailed(_) => ChargeCommand::Fail { by_system: false, detail },
            Outcome::SystemFailed(_) => ChargeCommand::Fail { by_system: true, detail },
        };
        Box::pin(self.run(charge, command))
    }

    fn settle<'a>(
        &'a self,
        charge: &'a Opened,
        used: &'a Quantities,
    ) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(async move {
            let units = used.iter().map(|(id, units)| Some((MeterId::new(id).ok()?, *units)));
            let units = units.collect::<Option<Vec<_>>>().and_then(MeterQuantities::new);
            let units = units.ok_or_else(|| ReportError::Quantities("a meter is not valid".to_owned()))?;
            self.run(charge, ChargeCommand::Succeed { quantity: Some(Quantity::Meters(units)) }).await
        })
    }

    fn extend<'a>(&'a self, charge: &'a Opened, seconds: u32) -> BoxFuture<'a, Result<(), ReportError>> {
        Box::pin(self.run(charge, ChargeCommand::Heartbeat { extend_seconds: seconds }))
    }
}
