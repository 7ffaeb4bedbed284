use proptest::prelude::*;

use super::*;
use crate::{ModelMask, Scope};

const MODELS: usize = 3;
const GROUPS: u32 = 2;

fn masks() -> impl Strategy<Value = ModelMask> {
    prop_oneof![
        Just(ModelMask::All),
        (0..MODELS).prop_map(ModelMask::One),
        prop::collection::vec(any::<bool>(), MODELS).prop_map(|m| ModelMask::Some(m.into())),
    ]
}

fn rows() -> impl Strategy<Value = Vec<(Row, f64)>> {
    let meters = prop::sample::select(Meter::ALL.to_vec());
    let group = prop::option::of(0..GROUPS);
    let row = (meters, masks(), group, any::<bool>(), 0.0..4.0_f64);
    let row = row.prop_map(|(meter, models, group, at_most, price)| {
        let scope = Scope { models, group };
        let row = if at_most { Row::at_most } else { Row::at_least };
        (row(meter, scope, 1.0), price)
    });
    prop::collection::vec(row, 0..8)
}

/// `c[g][m][i]` of (3), row by row.
fn by_definition(objective: f64, rows: &[(Row, f64)], group: u32, meter: Meter, i: usize) -> f64 {
    let covers = |row: &Row| row.meter == meter && row.scope.covers(group, i);
    let tolls = rows.iter().filter(|(row, _)| covers(row));
    objective - tolls.map(|(row, price)| row.sense.sign() * price).sum::<f64>()
}

proptest! {
    #[test]
    fn coefficients_are_what_their_equation_says(rows in rows()) {
        let (listed, prices): (Vec<Row>, Vec<f64>) = rows.iter().cloned().unzip();
        let objective = [1.0, -0.5, 0.0, 0.25, -0.125];
        let made = Coefficients::new(&objective, &listed, &prices, GROUPS as usize, MODELS);
        prop_assert_eq!(made.n_groups(), GROUPS as usize);
        for group in 0..GROUPS {
            for meter in Meter::ALL {
                for model in 0..MODELS {
                    let weight = objective[meter.index()];
                    let expected = by_definition(weight, &rows, group, meter, model);
                    let got = made.of(group, meter).get(model);
                    prop_assert!((got - expected).abs() < 1e-12, "{got} and {expected}");
                }
            }
        }
    }

    /// Tokens by the cost they stand for: the score of an option stays what it was.
    #[test]
    fn folding_changes_no_score(rows in rows(), cost in 0.0..2.0_f64) {
        let (listed, prices): (Vec<Row>, Vec<f64>) = rows.iter().cloned().unzip();
        let rates = [0.0, 3.0, 7.0];
        let made = Coefficients::new(&[1.0, 0.0, 0.0, 0.0, 0.0], &listed, &prices, GROUPS as usize, MODELS);
        let mut folded = made.clone();
        folded.fold(Meter::Tokens, Meter::Cost, &rates);
        for group in 0..GROUPS {
            for (model, rate) in rates.iter().enumerate() {
                let of = |made: &Coefficients, meter| made.of(group, meter).get(model);
                let tokens = of(&made, Meter::Tokens) * rate * cost;
                let expected = of(&made, Meter::Cost) * cost + tokens;
                let got = of(&folded, Meter::Cost) * cost;
                prop_assert!((got - expected).abs() < 1e-9, "{got} and {expected}");
                prop_assert!(of(&folded, Meter::Tokens).abs() < 1e-12);
            }
        }
    }
}
