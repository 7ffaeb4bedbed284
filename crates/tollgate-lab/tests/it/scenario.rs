//! How a table is cut into runs.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Meter, Models,
    Query, Scratch, Seed,
};
use tollgate::data::{Split, Table};
use tollgate::policies::BudgetSplit;
use tollgate_lab::{BudgetLayout, LabError, Options, Order, Scenario, Subset};

use crate::hand;

fn small() -> Table {
    Table::embedded().select_rows(&(0..300).collect::<Vec<_>>()).unwrap()
}

fn prepare(options: &Options, seed: u64) -> Result<Scenario, LabError> {
    Scenario::prepare(&small(), options, Seed(seed))
}

fn fraction(model_fraction: f64) -> Options {
    let subset = Subset { model_fraction: Some(model_fraction), ..Subset::default() };
    Options { subset, ..Options::default() }
}

#[test]
fn the_truth_is_the_tables() {
    let table = small();
    let options = Options { queries: Some(40), ..Options::default() };
    let scenario = prepare(&options, 3).unwrap();
    assert_eq!((scenario.len(), scenario.history().len()), (40, 260));
    let n_models = table.models().len();
    for (arrival, &row) in scenario.rows().iter().enumerate() {
        for model in 0..n_models {
            let at = row * n_models + model;
            assert_eq!(scenario.truth(arrival, model), (table.quality()[at], table.cost()[at]));
        }
    }
    assert_eq!(prepare(&options, 3).unwrap().rows(), scenario.rows());
    assert_ne!(prepare(&options, 4).unwrap().rows(), scenario.rows());
    assert_eq!(prepare(&Options::default(), 3).unwrap().len(), 150, "half of the rows");
}

#[test]
fn the_budget_is_what_the_cheapest_model_costs() {
    let capacities = |multiple, layout| -> Vec<f64> {
        let options = hand::options(multiple, layout);
        let scenario = Scenario::prepare(&hand::table(), &options, Seed(7)).unwrap();
        let rows = scenario.budgets().rows();
        assert!(rows.iter().all(|row| row.meter == Meter::Cost));
        rows.iter().map(|row| row.capacity).collect()
    };
    assert_eq!(capacities(1.0, BudgetLayout::Pooled), [3.0]);
    assert_eq!(capacities(0.0, BudgetLayout::Pooled), [0.0]);
    assert_eq!(capacities(2.0, BudgetLayout::Split(BudgetSplit::Uniform)), [3.0, 3.0]);
    // The pool, and twice half of it for each.
    let layered = BudgetLayout::Layered(BudgetSplit::Uniform);
    assert_eq!(capacities(1.0, layered), [3.0, 3.0, 3.0]);
    // Of the root of quality per cost over the whole table: 0.35 / 1 and 0.65 / 2.
    let weighted = capacities(1.0, BudgetLayout::Split(BudgetSplit::Weighted));
    let (a, b) = (0.35_f64.sqrt(), 0.325_f64.sqrt());
    assert!(hand::near(weighted[0], 3.0 * a / (a + b)), "{weighted:?}");
    assert!(hand::near(weighted[1], 3.0 * b / (a + b)), "{weighted:?}");
}

/// Every order is a permutation of the split's stream; the sorted ones are sorted by what
/// five exact neighbors say, which the scenario keeps in the same order.
#[test]
fn orders_end_to_end() {
    let of = |order| prepare(&Options { order, ..Options::default() }, 5).unwrap();
    let split = of(Order::Split);
    let n_models = split.models().len();
    let density = |scenario: &Scenario| -> Vec<f64> {
        let table = scenario.knn5();
        let best = |query| {
            let row = table.row(query);
            (0..n_models).map(|i| row.quality[i] / row.cost[i]).fold(0.0, f64::max)
        };
        (0..scenario.len()).map(best).collect()
    };
    let mean_cost = |scenario: &Scenario| -> Vec<f64> {
        let table = scenario.knn5();
        (0..scenario.len()).map(|q| table.row(q).cost.iter().sum::<f64>()).collect()
    };
    let stream: BTreeSet<usize> = split.rows().iter().copied().collect();
    for order in Order::all() {
        let scenario = of(order);
        assert_eq!(scenario.rows().iter().copied().collect::<BTreeSet<_>>(), stream, "{order}");
        assert_eq!(scenario.len(), split.len(), "{order}");
        for (ours, theirs) in scenario.budgets().rows().iter().zip(split.budgets().rows()) {
            // The same queries, summed in another order.
            let relative = ours.capacity / theirs.capacity - 1.0;
            assert!(relative.abs() < 1e-12, "{order}: {ours:?} is not {theirs:?}");
        }
        match order {
            Order::Split => {}
            Order::AsGiven => assert!(scenario.rows().is_sorted()),
            Order::Shuffled => assert_ne!(scenario.rows(), split.rows()),
            Order::AscendingDensity => assert!(density(&scenario).is_sorted()),
            Order::DescendingDensity => assert!(density(&scenario).is_sorted_by(|a, b| a >= b)),
            Order::CheapFirst => assert!(mean_cost(&scenario).is_sorted()),
            Order::ExpensiveFirst => assert!(mean_cost(&scenario).is_sorted_by(|a, b| a >= b)),
            Order::NoisyDrift => {
                let costs = mean_cost(&scenario);
                let (first, last) = costs.split_at(costs.len() / 2);
                assert!(first.iter().sum::<f64>() < last.iter().sum::<f64>(), "it drifts");
                assert!(!costs.is_sorted(), "it is noisy");
            }
        }
    }
}

#[test]
fn a_share_of_the_models_is_the_seeds_own() {
    let names = |share, seed| -> Vec<String> {
        let scenario = prepare(&fraction(share), seed).unwrap();
        assert_eq!(scenario.budgets().n_models(), scenario.models().len());
        scenario.models().iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(0.5, 1), names(0.5, 1));
    assert_ne!(names(0.5, 1), names(0.5, 2));
    assert_eq!(names(0.5, 1).len(), 6, "5.5 of 11, rounded");
    assert_eq!(names(1.0, 1).len(), 11);
    assert_eq!(names(0.01, 1).len(), 2, "one model is no choice");
}

fn refused(options: &Options) -> String {
    Scenario::prepare(&hand::table(), options, Seed(7)).unwrap_err().to_string()
}

#[test]
fn refusals() {
    let with = |change: &dyn Fn(&mut Options)| {
        let mut options = hand::options(1.0, BudgetLayout::Pooled);
        change(&mut options);
        refused(&options)
    };
    insta::assert_snapshot!(with(&|o| o.budget = f64::NAN), @"`budget` must be finite and >= 0, got NaN");
    insta::assert_snapshot!(with(&|o| o.budget = -1.0), @"`budget` must be finite and >= 0, got -1");
    insta::assert_snapshot!(refused(&fraction(f64::NAN)), @"`model-fraction` must be in (0, 1], got NaN");
    insta::assert_snapshot!(refused(&fraction(0.0)), @"`model-fraction` must be in (0, 1], got 0");
    insta::assert_snapshot!(refused(&fraction(1.5)), @"`model-fraction` must be in (0, 1], got 1.5");
    insta::assert_snapshot!(with(&|o| o.splits = Some(BTreeMap::new())), @"the splits file has no seed 7");
    insta::assert_snapshot!(with(&|o| o.queries = Some(0)), @"`queries` must be >= 1 and at most the stream of the splits file, got 0");
    insta::assert_snapshot!(with(&|o| o.queries = Some(4)), @"`queries` must be >= 1 and at most the stream of the splits file, got 4");
    let seeded = |queries| refused(&Options { queries: Some(queries), ..Options::default() });
    insta::assert_snapshot!(seeded(0), @"`queries` must be >= 1 and less than the rows, so that a history is left, got 0");
    insta::assert_snapshot!(seeded(4), @"`queries` must be >= 1 and less than the rows, so that a history is left, got 4");
    let beyond = Split { stream: vec![9], history: vec![3] };
    let beyond = BTreeMap::from([(7, beyond)]);
    insta::assert_snapshot!(with(&|o| o.splits = Some(beyond.clone())), @"`hand` has no row 9; it has 4");
}

#[test]
fn a_given_split_may_be_cut_short() {
    let mut options = hand::options(1.0, BudgetLayout::Pooled);
    options.queries = Some(2);
    let scenario = Scenario::prepare(&hand::table(), &options, Seed(7)).unwrap();
    assert_eq!(scenario.rows(), [0, 1]);
    assert!(hand::near(scenario.budgets().rows()[0].capacity, 2.0), "of the two that are left");
}

/// A table with a column of prompts, of which row `r` has `r + 1` tokens.
fn with_prompts() -> Table {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("prompts");
    std::fs::create_dir_all(&folder).unwrap();
    let mut lines = vec!["prompt,a,a|total_cost,b,b|total_cost".to_owned()];
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 1), }            \n";
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    npy.extend(header.bytes());
    for row in 0..8 {
        lines.push(format!("{},1,0.5,0,0.25", "four".repeat(row + 1)));
        npy.extend(1.0_f32.to_le_bytes());
    }
    std::fs::write(folder.join("queries.csv"), lines.join("\n")).unwrap();
    std::fs::write(folder.join("embeddings.npy"), npy).unwrap();
    Table::load(&folder).unwrap()
}

/// Estimates of an answer's cost that are the tokens of its prompt.
#[derive(Clone, Debug)]
struct Counts(Models);

impl Fit for Counts {
    fn name(&self) -> String {
        "counts".to_owned()
    }

    fn fit(&self, _: &History, _: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.clone()))
    }

    fn held_out(&self, history: &History, _: Seed) -> Result<EstimateTable, FitError> {
        Ok(EstimateTable::zeros(history.len(), 2))
    }
}

impl Estimator for Counts {
    fn models(&self) -> &Models {
        &self.0
    }

    fn dim(&self) -> usize {
        1
    }

    fn grow(&self, _: &History) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.clone()))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        _: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        out.cost.fill(query.input_tokens.unwrap());
        Ok(())
    }
}

/// History and arrivals know how long their prompts are.
#[test]
fn prompts_keep_their_tokens() {
    let table = with_prompts();
    let scenario = Scenario::prepare(&table, &Options::default(), Seed(1)).unwrap();
    let estimates = scenario.estimate(&Counts(table.models().clone())).unwrap();
    for (arrival, &row) in scenario.rows().iter().enumerate() {
        assert_eq!(estimates.row(arrival).cost, [(row + 1) as f64; 2]);
    }
    let tokens = scenario.history().input_tokens().unwrap();
    let all: f64 = tokens.iter().sum::<f64>() + estimates.cost().iter().sum::<f64>() / 2.0;
    assert_eq!((tokens.len(), all), (4, 36.0), "1 to 8, each once");
    assert!(hand::pooled().history().input_tokens().is_none(), "a table without prompts");
}
