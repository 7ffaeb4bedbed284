//! How one trial cuts a table: models seen and unseen, prompts to train, label and test on.

use serde::Serialize;
use tollgate::core::{ModelId, Purpose, Seed};
use tollgate::data::Table;

use crate::LabError;

/// The sizes of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// The share of the models that are unseen until the test, in `(0, 1)`.
    pub test_models: f64,
    /// The share of the prompts that are routed, in `(0, 1)`.
    pub test_prompts: f64,
    /// The share of the prompts that are set aside for labels of the unseen models, in
    /// `[0, 1)`. Where it is less than [`labels`](Self::labels), the training prompts give
    /// what is missing.
    pub validation: f64,
    /// How many of those the unseen models are labelled on, `>= 1`.
    pub labels: usize,
    /// What a route costs.
    pub costs: Costs,
}

/// What a route costs in the curve. Prompts are routed by a price for each model either way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Costs {
    /// The model's mean over its validation labels, whatever the prompt: the paper's.
    #[default]
    PerModel,
    /// What the answer has really cost.
    Realised,
}

impl Default for Protocol {
    /// The paper's: a third of the models and 30 % of the prompts to test on, 400 labels
    /// from the tenth.
    fn default() -> Self {
        Self {
            test_models: 1.0 / 3.0,
            test_prompts: 0.3,
            validation: 0.1,
            labels: 400,
            costs: Costs::PerModel,
        }
    }
}

/// Which models and rows of a table have which part in a trial. Every row is in one of the
/// three parts, or in none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// Models that the recipes learn from; indices of the table, ascending.
    pub seen: Vec<usize>,
    /// Models that are added, and routed among; ascending.
    pub unseen: Vec<usize>,
    /// Rows whose answers of the seen models are known.
    pub training: Vec<usize>,
    /// Rows that the unseen models are labelled on.
    pub validation: Vec<usize>,
    /// Rows that are routed.
    pub test: Vec<usize>,
}

impl Cut {
    /// Draws one. At least one model is seen and one unseen.
    ///
    /// # Errors
    /// [`LabError::Option`] for a share out of range, or more labels than there are prompts
    /// left beside the test and one to train on; [`LabError::Shape`] for fewer than two
    /// models.
    pub fn draw(table: &Table, protocol: &Protocol, seed: Seed) -> Result<Self, LabError> {
        let shares = [
            ("test-models", protocol.test_models),
            ("test-prompts", protocol.test_prompts),
            ("validation", protocol.validation),
        ];
        for (name, got) in shares {
            let none = name == "validation" && got == 0.0;
            // Written so that NaN fails.
            if !(none || got > 0.0 && got < 1.0) {
                return Err(LabError::Option { name, rule: "in (0, 1)", got });
            }
        }
        let (n_models, n_rows) = (table.models().len(), table.len());
        if n_models < 2 {
            return Err(LabError::Shape { what: "models", expected: 2, got: n_models });
        }
        let mut models: Vec<usize> = (0..n_models).collect();
        seed.stream(Purpose::ModelSubset, 0).shuffle(&mut models);
        let mut seen =
            models.split_off(share(protocol.test_models, n_models).clamp(1, n_models - 1));
        let mut unseen = models;
        seen.sort_unstable();
        unseen.sort_unstable();

        let mut test: Vec<usize> = (0..n_rows).collect();
        seed.stream(Purpose::Split, 0).shuffle(&mut test);
        let mut rest = test.split_off(share(protocol.test_prompts, n_rows).clamp(1, n_rows));
        let labels = protocol.labels;
        if labels == 0 || labels >= rest.len() {
            let rule = ">= 1, and leave a prompt to train on beside the test prompts";
            return Err(LabError::Option { name: "labels", rule, got: labels as f64 });
        }
        let set_aside = share(protocol.validation, n_rows).max(labels).min(rest.len() - 1);
        let training = rest.split_off(set_aside);
        rest.truncate(labels);
        Ok(Self { seen, unseen, training, validation: rest, test })
    }

    /// The names of some of the models.
    pub(super) fn names<'a>(table: &'a Table, models: &[usize]) -> Vec<&'a str> {
        models.iter().map(|&model| table.models().id(model)).map(ModelId::as_str).collect()
    }
}

fn share(of: f64, n: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let count = (of * n as f64).round() as usize;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(protocol: &Protocol, seed: u64) -> Result<Cut, LabError> {
        Cut::draw(&Table::embedded(), protocol, Seed(seed))
    }

    /// 4,000 rows and 11 models: 1,200 to test, 400 to label, 2,400 to train; 4 unseen.
    #[test]
    fn sizes_are_the_papers() {
        let cut = cut(&Protocol::default(), 1).unwrap();
        let sizes =
            [&cut.seen, &cut.unseen, &cut.training, &cut.validation, &cut.test].map(Vec::len);
        assert_eq!(sizes, [7, 4, 2400, 400, 1200]);
        let mut rows = [cut.training, cut.validation, cut.test].concat();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), 4000);
    }

    #[test]
    fn what_the_tenth_lacks_comes_from_training_and_what_it_has_too_much_is_left_out() {
        let sizes = |labels| {
            let cut = cut(&Protocol { labels, ..Protocol::default() }, 1).unwrap();
            [cut.training.len(), cut.validation.len()]
        };
        assert_eq!(sizes(700), [2100, 700]);
        assert_eq!(sizes(100), [2400, 100]);
    }

    #[test]
    fn seeds_draw_and_fewer_labels_are_the_first_of_more() {
        let draw = |labels, seed| cut(&Protocol { labels, ..Protocol::default() }, seed).unwrap();
        let (few, many) = (draw(100, 1), draw(400, 1));
        assert_eq!(few.validation, many.validation[..100]);
        assert_eq!((few.seen, few.test), (many.seen, many.test));
        assert_ne!(draw(100, 2).test, draw(100, 1).test);
        assert_ne!(draw(100, 2).unseen, draw(100, 1).unseen);
    }

    #[test]
    fn refusals() {
        let message = |protocol| cut(&protocol, 1).unwrap_err().to_string();
        let paper = Protocol::default();
        insta::assert_snapshot!(
            message(Protocol { test_models: 1.0, ..paper }),
            @"`test-models` must be in (0, 1), got 1"
        );
        insta::assert_snapshot!(
            message(Protocol { test_prompts: f64::NAN, ..paper }),
            @"`test-prompts` must be in (0, 1), got NaN"
        );
        insta::assert_snapshot!(
            message(Protocol { labels: 0, ..paper }),
            @"`labels` must be >= 1, and leave a prompt to train on beside the test prompts, got 0"
        );
        insta::assert_snapshot!(
            message(Protocol { labels: 2800, ..paper }),
            @"`labels` must be >= 1, and leave a prompt to train on beside the test prompts, got 2800"
        );
        let one = Table::embedded();
        let one = one.select_models(&[one.models().id(0).as_str()]).unwrap();
        insta::assert_snapshot!(
            Cut::draw(&one, &paper, Seed(1)).unwrap_err(),
            @"2 models expected, got 1"
        );
    }
}
