//! A model joins a router that serves, is explored, and hands over.
//!
//! The embedded stream without its last model; it comes with a guess alone, and answers are
//! scored from then on.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use tollgate::data::Table;
use tollgate::estimators::Clusters;
use tollgate::policies::ExploringConfig;
use tollgate::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = Table::embedded();
    let names: Vec<String> = table.models().iter().map(ToString::to_string).collect();
    let (newcomer, known) = names.split_last().ok_or("a table has models")?;
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let history = table.select_models(&known)?.history(&(0..2_000).collect::<Vec<_>>())?;
    let policy = ExploringConfig::default().build(std::sync::Arc::new(presets::tollgate()))?;
    let router = Router::builder()
        .history(history)
        .estimator(Clusters::default())
        .policy(policy)
        .budget(Budget::pooled(0.10).horizon(2_000))
        .build()?;
    let truth = |row: usize, model: &ModelId| {
        let model = table.models().index_of(model.as_str()).unwrap_or_default();
        let cell = row * table.models().len() + model;
        (table.quality()[cell], table.cost()[cell])
    };
    let mut answers = 0;
    for row in 2_000..4_000 {
        if row == 2_500 {
            // Somebody's guess; from a price list, say.
            let guess = NewModel::new(newcomer).prior_quality(0.3).prior_cost(0.000_05);
            router.add_model(&guess)?;
            println!("arrival 500: {newcomer} has come");
        }
        let request = Request::new(table.queries().query(row).embedding);
        let routed = router.route(&request)?;
        let Some(model) = routed.model().cloned() else { continue };
        let (quality, cost) = truth(row, &model);
        if let Some(reservation) = routed.reservation {
            router.settle(reservation, cost)?;
        }
        // Answers are scored by whoever used them.
        router.score(&request, &model, quality, cost)?;
        answers += usize::from(model.as_str() == newcomer);
        if row % 500 == 499 {
            println!("arrival {}: {newcomer} has answered {answers} prompts", row - 1_999);
        }
    }
    let account = router.ledger().accounts()[0];
    println!("spent {:.4} of 0.10 USD", PicoUsd(account.spent).to_usd());
    Ok(())
}
