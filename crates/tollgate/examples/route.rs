//! Ten prompts of the embedded stream through a router with one cent to spend.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tollgate::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = Table::embedded();
    let router = Router::builder()
        .history(table.history(&(0..2_000).collect::<Vec<_>>())?)
        .estimator(Auto::default())
        .policy(presets::tollgate())
        .budget(Budget::pooled(0.01).horizon(10))
        .build()?;
    for prompt in 2_000..2_010 {
        let request = Request::new(table.queries().query(prompt).embedding);
        let routed = router.route(&request)?;
        println!("prompt {prompt}: {:?}", routed.decision.outcome);
        println!("{}", router.explain(&request, &routed)?);
        if let Some(reservation) = routed.reservation {
            println!("  to {}", table.models().id(reservation.model()));
            let cost = table.cost()[prompt * table.models().len() + reservation.model()];
            router.settle(reservation, cost)?;
        }
    }
    let account = router.ledger().accounts()[0];
    println!("left: {}", PicoUsd(account.free()));
    Ok(())
}
