//! Why a query goes where it goes.

use std::fmt;

use tollgate_core::{Choice, Explanation, Problem};

/// One option of a query at some prices; `model` is `None` for declining.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// The index of the model.
    pub model: Option<usize>,
    /// What it is worth in the objective, for a query of weight 1.
    pub value: f64,
    /// `(row, toll)`: what each row with a price takes off, `s_r p_r m^r_ij`; negative
    /// where the row pays for it.
    pub tolls: Vec<(usize, f64)>,
    /// Value less tolls: the highest is chosen.
    pub score: f64,
}

/// The nearest price of one row, all others as they are, at which another option is as
/// good as the best.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceFlip {
    /// The row.
    pub row: usize,
    /// That price, `>= 0`.
    pub price: f64,
    /// What is chosen beyond it; `None` for declining.
    pub to: Option<usize>,
}

/// Why a query goes where it goes: see [`explain`].
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// The query.
    pub query: usize,
    /// Every option, the best first; ties in the order of the models, declining first.
    pub offers: Vec<Offer>,
    /// For each row at most two: the nearest flip below its price and above it.
    pub flips: Vec<PriceFlip>,
}

impl Why {
    /// By how much the best option is better than the second; infinite where there is none.
    pub fn margin(&self) -> f64 {
        match self.offers.as_slice() {
            [best, second, ..] => best.score - second.score,
            _ => f64::INFINITY,
        }
    }

    /// The model that is best; `None` for declining.
    pub fn choice(&self) -> Option<usize> {
        self.offers.first().and_then(|offer| offer.model)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |model: Option<usize>| {
            model.map_or_else(|| "declined".to_owned(), |model| format!("model {model}"))
        };
        let offers = self.offers.iter().map(|offer| {
            let value = Explanation::leaf("value", offer.value);
            let toll = |&(row, toll): &(usize, f64)| {
                Explanation::leaf(format!("- toll of row {row}"), -toll)
            };
            let terms = std::iter::once(value).chain(offer.tolls.iter().map(toll)).collect();
            Explanation::node(name(offer.model), offer.score, terms)
        });
        let flips = self.flips.iter().map(|flip| {
            let label = format!("{} beyond row {} at a price of", name(flip.to), flip.row);
            Explanation::leaf(label, flip.price)
        });
        let label = format!("query {} goes to {}, better by", self.query, name(self.choice()));
        let terms = offers.chain(flips).collect();
        write!(f, "{}", Explanation::node(label, self.margin(), terms))
    }
}

/// The options of a query at some prices, `(K,)`, and how far each price is from sending
/// it elsewhere.
///
/// # Panics
/// When `prices` does not have one entry a row, or there is no such query.
pub fn explain(problem: &Problem, prices: &[f64], query: usize) -> Why {
    assert_eq!(prices.len(), problem.rows().len(), "one price a row");
    assert!(query < problem.n_queries(), "no such query");
    let declined = Offer { model: None, value: 0.0, tolls: Vec::new(), score: 0.0 };
    let may_decline = problem.choice() == Choice::AtMostOne;
    let models = (0..problem.n_models()).map(|model| offer(problem, prices, query, model));
    let mut offers: Vec<Offer> =
        may_decline.then_some(declined).into_iter().chain(models).collect();
    offers.sort_by(|a, b| b.score.total_cmp(&a.score));
    let flips = (0..prices.len()).flat_map(|row| flips(problem, prices, query, row, &offers));
    let flips = flips.collect();
    Why { query, offers, flips }
}

fn offer(problem: &Problem, prices: &[f64], query: usize, model: usize) -> Offer {
    let value = problem.value(query, model);
    let tolls: Vec<(usize, f64)> = (0..prices.len())
        .map(|row| (row, prices[row] * usage(problem, query, Some(model), row)))
        .filter(|(_, toll)| *toll != 0.0)
        .collect();
    let score = value - tolls.iter().map(|(_, toll)| toll).sum::<f64>();
    Offer { model: Some(model), value, tolls, score }
}

/// What an option uses of a row, `s_r m^r_ij`, for a query of weight 1.
fn usage(problem: &Problem, query: usize, model: Option<usize>, row: usize) -> f64 {
    let row = &problem.rows()[row];
    match model {
        Some(model) if row.scope.covers(problem.group(query), model) => {
            row.sense.sign() * problem.reading(row.meter, query, model)
        }
        _ => 0.0,
    }
}

/// Raising a price by `d` takes `d` times its usage off an option: another option wins
/// where it uses less, at `d = difference of scores / difference of usage`.
fn flips(
    problem: &Problem,
    prices: &[f64],
    query: usize,
    row: usize,
    offers: &[Offer],
) -> Vec<PriceFlip> {
    let Some((best, others)) = offers.split_first() else { return Vec::new() };
    let used = usage(problem, query, best.model, row);
    let (mut below, mut above): (Option<PriceFlip>, Option<PriceFlip>) = (None, None);
    let most = problem.rows()[row].penalty.unwrap_or(f64::INFINITY);
    for other in others {
        let saved = used - usage(problem, query, other.model, row);
        let price = prices[row] + (best.score - other.score) / saved;
        if saved == 0.0 || !(0.0..=most).contains(&price) {
            continue;
        }
        let flip = PriceFlip { row, price, to: other.model };
        if saved > 0.0 && above.as_ref().is_none_or(|known| price < known.price) {
            above = Some(flip);
        } else if saved < 0.0 && below.as_ref().is_none_or(|known| price > known.price) {
            below = Some(flip);
        }
    }
    below.into_iter().chain(above).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use tollgate_core::{Meter, Row, Scope};
    use tollgate_testkit::problems::problems;

    use super::*;

    /// 0.5 for 1 USD or 0.9 for 3: at 0.25 a dollar 0.25 is left of the first, 0.15 of
    /// the second. From 0.2 down the dear one is better, from 0.5 up neither is.
    #[test]
    fn a_choice_on_paper() {
        let problem = Problem::builder(1, 2, Choice::AtMostOne)
            .table(Meter::Quality, Arc::from([0.5, 0.9]))
            .table(Meter::Cost, Arc::from([1.0, 3.0]))
            .objective(Meter::Quality, 1.0)
            .rows([Row::at_most(Meter::Cost, Scope::all(), 1.0)])
            .build()
            .unwrap();
        insta::assert_snapshot!(explain(&problem, &[0.25], 0), @"
        query 0 goes to model 0, better by = 0.1
          model 0 = 0.25
            value = 0.5
            - toll of row 0 = -0.25
          model 1 = 0.15
            value = 0.9
            - toll of row 0 = -0.75
          declined = 0
            value = 0
          model 1 beyond row 0 at a price of = 0.2
          declined beyond row 0 at a price of = 0.5
        ");
    }

    proptest! {
        /// A little before a flip the choice is as it was; a little beyond it is as good
        /// to take the other one.
        #[test]
        fn flips_are_where_they_say(problem in problems(), tenths in prop::collection::vec(0_u8..30, 40)) {
            let prices: Vec<f64> = problem
                .rows()
                .iter()
                .zip(tenths)
                .map(|(row, tenths)| (0.1 * f64::from(tenths)).min(row.penalty.unwrap_or(9.0)))
                .collect();
            for query in 0..problem.n_queries() {
                let why = explain(&problem, &prices, query);
                for flip in &why.flips {
                    let mut there = prices.clone();
                    there[flip.row] = flip.price;
                    let score = |why: &Why, model| {
                        why.offers.iter().find(|o| o.model == model).map_or(0.0, |o| o.score)
                    };
                    let then = explain(&problem, &there, query);
                    let size = then.offers.iter().map(|o| o.score.abs() + o.value.abs()).fold(1.0, f64::max);
                    let best = then.offers[0].score;
                    prop_assert!((score(&then, flip.to) - best).abs() <= 1e-9 * size);
                    prop_assert!((score(&then, why.choice()) - best).abs() <= 1e-9 * size);
                }
            }
        }
    }
}
