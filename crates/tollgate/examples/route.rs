//! Ten prompts of the embedded stream through a router with one cent to spend.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tollgate::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = Table::embedded();
    let router = Router::builder()
        .history(table.history(&(0..2_000).collect::<Vec<_>>())?)
        .estimator(Blend::tollgate())
        .policy(presets::tollgate())
        .budget(Budget::pooled(0.01).horizon(10))
        .build()?;
    for prompt in 2_000..2_010 {
        let routed = router.route(&Request::new(table.queries().query(prompt).embedding))?;
        println!("prompt {prompt}: {:?}", routed.decision.outcome);
        if let Some(reservation) = routed.reservation {
            println!("  to {}", table.models().id(reservation.model()));
            println!("{}", routed.decision.explanation);
            let cost = table.cost()[prompt * table.models().len() + reservation.model()];
            router.settle(reservation, cost)?;
        }
    }
    let account = router.ledger().accounts()[0];
    println!("left: {}", PicoUsd(account.free()));
    Ok(())
}
