// cli/src/gate_process.rs, in `impl Charging for LocalApi`, after `report`. Not compiled yet.
// Imports: tollkeeper_gate::Quantities; tollkeeper_ledger::{MeterId, MeterQuantities, Quantity, Refusal}.

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
        Box::pin(async move { self.run(charge, ChargeCommand::Heartbeat { extend_seconds: seconds }).await })
    }

// `run` is what `report` does today after its match on the outcome, in `impl LocalApi`, with this match:
//     Ok(Ok(_)) => Ok(()),
//     Ok(Err(
//         refusal @ (Refusal::UsedQuantityOutOfRange | Refusal::QuantityOutOfRange | Refusal::InvalidField { .. }),
//     )) => Err(ReportError::Quantities(refusal.code().to_owned())),
//     Ok(Err(refusal)) => Err(ReportError::Refused(refusal.code().to_owned())),
//     Err(error) => Err(ReportError::Later(error.to_string())),
