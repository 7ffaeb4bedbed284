//! Decisions that explain themselves.

use std::fmt;

/// What became of a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The model with this index answers.
    Served(usize),
    /// The model with this index was picked, and its true cost did not fit: replay only.
    Lost(usize),
    /// No model is worth its price.
    Declined,
    /// No model that is worth trying can be paid for.
    Unaffordable,
}

impl Outcome {
    /// The index of the model that was picked, where one was.
    pub fn model(self) -> Option<usize> {
        match self {
            Self::Served(model) | Self::Lost(model) => Some(model),
            Self::Declined | Self::Unaffordable => None,
        }
    }
}

/// One routing decision: what was decided, in a few words of memory. Why is an
/// [`Explanation`], made for those who ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The arrival's position in the stream.
    pub arrival: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// The policy's score of the chosen model; 0 where none was chosen, or by need.
    pub score: f64,
    /// Chosen by need: the prompt had to be served, nothing that the policy ranked could be
    /// paid for, and this was the cheapest model that could.
    pub by_need: bool,
}

/// A tree of named terms; every decision can be printed as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What the term is.
    pub label: String,
    /// What it comes to.
    pub value: f64,
    /// What it is made of.
    pub terms: Vec<Self>,
}

impl Explanation {
    /// A term that is not made of others.
    pub fn leaf(label: impl Into<String>, value: f64) -> Self {
        Self::node(label, value, Vec::new())
    }

    /// A term made of others.
    pub fn node(label: impl Into<String>, value: f64, terms: Vec<Self>) -> Self {
        Self { label: label.into(), value, terms }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        writeln!(f, "{:depth$}{} = {}", "", self.label, sig6(self.value), depth = 2 * depth)?;
        self.terms.iter().try_for_each(|term| term.write(f, depth + 1))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Six significant digits, trailing zeros dropped.
fn sig6(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e9).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        format!("{rounded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_reads_as_a_tree() {
        let tree = Explanation::node(
            "score",
            0.625_2,
            vec![
                Explanation::leaf("quality", 0.71),
                Explanation::node(
                    "- price x cost",
                    -0.084_8,
                    vec![
                        Explanation::leaf("price per USD", 212.0),
                        Explanation::leaf("cost", 4e-6),
                    ],
                ),
            ],
        );
        insta::assert_snapshot!(tree, @r"
        score = 0.6252
          quality = 0.71
          - price x cost = -0.0848
            price per USD = 212
            cost = 4e-6
        ");
    }
}
