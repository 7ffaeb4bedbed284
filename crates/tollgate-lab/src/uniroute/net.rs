//! Fixed-pool heads of the papers: a small network, and matrix factorization.
//!
//! # Problem
//! With `z(x)` the centered direction of a prompt, scaled so that a coordinate has variance 1
//! on average, and `y_rh` the label of model `h` on prompt `r`, the expected score is
//!
//! ```text
//! q(x, h) = s( c_h + v_h . g(W z(x) + b) ),   s(f) = 1 / (1 + e^-f)               (1)
//! ```
//!
//! `g` is `tanh` for the network (`mlp`: one hidden layer) and nothing for matrix
//! factorization (`matrix`: a model's vector times a projection of the prompt's).
//!
//! # Method
//! The sum over models of the mean cross-entropy, and `l/2 (|W|^2 + |V|^2)`, are minimized by
//! L-BFGS from small random weights, in at most [`ITERATIONS`] iterations: the loss is not
//! convex and its last digits are worth nothing. For the linear `g` the penalty is that of the
//! nuclear norm of the product (Srebro and others, 2005), so `l` is measured by what noise
//! alone would give its gradient, `(sqrt(M) + sqrt(d)) / (2 sqrt(n))`: times 0.03, 0.1, 0.3 or
//! 1, the one with the least loss on every fifth prompt after learning from the others.
//! Learning costs `O(n d hidden)` an iteration, a query `O(d hidden)`.
//!
//! # Departures from the papers
//! UniRoute's MLP and matrix factorization train by stochastic gradients on their own
//! embeddings, of widths that are not stated; RouteLLM's factorization multiplies the model's
//! vector into the projection and learns from preferences. These learn from scores. They have
//! no costs of their own (UniRoute's `c(h)` is a price list): the expected cost is the model's
//! mean, and the standard errors are the spread of a coin and of the costs, which is the most
//! that could be claimed.
//!
//! # References
//! Jitkrittum et al. (2025), Universal Model Routing for Efficient LLM Inference,
//! arXiv:2502.08773. Ong et al. (2024), RouteLLM, arXiv:2406.18665. Srebro, Rennie and
//! Jaakkola (2005), Maximum-margin matrix factorization. Liu and Nocedal (1989), On the limited
//! memory BFGS method for large scale optimization, doi:10.1007/BF01589116.

mod objective;

use serde::{Deserialize, Serialize};
use tollgate::core::{
    BoxError, EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History,
    Models, ParamError, Purpose, Query, Scratch, Seed,
};

use self::objective::{Layers, Objective, Shape, logistic};

/// Iterations of L-BFGS, at most.
const ITERATIONS: u64 = 100;

/// Penalties that are tried, in units of what noise alone would give.
const PENALTIES: [f64; 4] = [1.0, 0.3, 0.1, 0.03];

/// One prompt in so many is kept out when a penalty is chosen, and when estimates are held out.
const FOLDS: usize = 5;

/// Knobs of [`Net`]. Unchecked until [`build`](Self::build).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetConfig {
    /// The width of the hidden layer, `>= 1`.
    pub hidden: usize,
    /// Whether `g` is `tanh`, and not nothing.
    #[serde(skip)]
    pub curved: bool,
}

impl Default for NetConfig {
    /// [`mlp`](Self::mlp).
    fn default() -> Self {
        Self::mlp()
    }
}

impl NetConfig {
    /// The network: 32 wide.
    pub fn mlp() -> Self {
        Self { hidden: 32, curved: true }
    }

    /// Matrix factorization: 16 wide.
    pub fn matrix() -> Self {
        Self { hidden: 16, curved: false }
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`ParamError`] for a hidden layer of nothing.
    pub fn build(self) -> Result<Net, ParamError> {
        if self.hidden == 0 {
            return Err(ParamError { field: "hidden", rule: ">= 1", got: 0.0 });
        }
        Ok(Net { config: self })
    }
}

/// The recipe of [`NetEstimator`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Net {
    config: NetConfig,
}

/// Predicts by (1).
#[derive(Clone, Debug)]
pub struct NetEstimator {
    recipe: Net,
    seed: Seed,
    models: Models,
    n_prompts: usize,
    /// The chosen one of [`PENALTIES`].
    penalty: f64,
    inputs: Inputs,
    layers: Layers,
    /// Each model's mean cost and the spread of its costs, in USD.
    costs: Vec<[f64; 2]>,
}

/// From embeddings to `z`.
#[derive(Clone, Debug)]
struct Inputs {
    mean: Vec<f64>,
    scale: f64,
}

impl Net {
    fn train(&self, history: &History, seed: Seed) -> Result<NetEstimator, FitError> {
        let rows: Vec<usize> = (0..history.len()).collect();
        let penalty = self.choose(history, seed)?;
        self.learn(history, &rows, penalty, seed)
    }

    /// The penalty with the least loss on prompts that were kept out.
    fn choose(&self, history: &History, seed: Seed) -> Result<f64, FitError> {
        let (out, kept): (Vec<usize>, Vec<usize>) =
            (0..history.len()).partition(|row| row % FOLDS == FOLDS - 1);
        if out.is_empty() || history.select(&kept).is_err() {
            return Ok(PENALTIES[0]);
        }
        let mut best = (f64::INFINITY, PENALTIES[0]);
        for penalty in PENALTIES {
            let loss = self.learn(history, &kept, penalty, seed)?.loss(history, &out);
            if loss < best.0 {
                best = (loss, penalty);
            }
        }
        Ok(best.1)
    }

    fn learn(
        &self,
        history: &History,
        rows: &[usize],
        penalty: f64,
        seed: Seed,
    ) -> Result<NetEstimator, FitError> {
        let part = history.select(rows).map_err(|source| self.failed(source.into()))?;
        let inputs = Inputs::new(&part)?;
        let (n, dim, models) = (part.len(), part.dim(), part.models().len());
        let shape = Shape { models, hidden: self.config.hidden, dim, curved: self.config.curved };
        let noise = ((models as f64).sqrt() + (dim as f64).sqrt()) / (2.0 * (n as f64).sqrt());
        let z: Vec<f64> =
            (0..n).flat_map(|row| inputs.of(part.queries().query(row).embedding)).collect();
        let objective = Objective::new(shape, &z, part.quality(), penalty * noise);
        let mut rng = seed.stream(Purpose::Fit, 0);
        let start = Layers::small(shape, part.quality(), || rng.normal());
        let layers = objective.minimize(start, ITERATIONS).map_err(|error| self.failed(error))?;
        Ok(NetEstimator {
            recipe: *self,
            seed,
            models: part.models().clone(),
            n_prompts: n,
            penalty,
            inputs,
            layers,
            costs: (0..models).map(|model| spread(part.cost(), model, models)).collect(),
        })
    }

    fn failed(&self, source: BoxError) -> FitError {
        FitError::Other { recipe: self.name(), source }
    }
}

/// The mean and the standard deviation of a model's costs.
fn spread(cost: &[f64], model: usize, n_models: usize) -> [f64; 2] {
    let labels: Vec<f64> =
        cost.iter().skip(model).step_by(n_models).copied().filter(|usd| !usd.is_nan()).collect();
    let n = labels.len() as f64;
    let mean = labels.iter().sum::<f64>() / n;
    let squares: f64 = labels.iter().map(|usd| (usd - mean).powi(2)).sum();
    [mean, (squares / n).sqrt()]
}

impl Fit for Net {
    fn name(&self) -> String {
        let kind = if self.config.curved { "mlp" } else { "matrix" };
        format!("{kind}(hidden={})", self.config.hidden)
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.train(history, seed)?))
    }

    /// By folds, under the penalty of the whole history.
    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        let n_models = history.models().len();
        let penalty = self.choose(history, seed)?;
        let mut table = EstimateTable::zeros(history.len(), n_models);
        for fold in 0..FOLDS {
            let (out, kept): (Vec<usize>, Vec<usize>) =
                (0..history.len()).partition(|row| row % FOLDS == fold);
            let learned = self.learn(history, &kept, penalty, seed)?;
            for row in out {
                let query = history.queries().query(row);
                let wrote = table.fill(|mut columns| {
                    let columns = columns.rows(n_models, row, row + 1);
                    learned.estimate_into(query, &mut Scratch::default(), columns)
                });
                wrote.map_err(|error| self.failed(error.into()))?;
            }
        }
        Ok(table)
    }
}

impl Inputs {
    fn new(history: &History) -> Result<Self, FitError> {
        let (n, dim, queries) = (history.len(), history.dim(), history.queries());
        let mut mean = vec![0.0; dim];
        let units: Vec<Vec<f64>> = (0..n)
            .map(|row| {
                unit(queries.query(row).embedding).ok_or(FitError::ZeroVector { query: row })
            })
            .collect::<Result<_, _>>()?;
        for unit in &units {
            mean.iter_mut().zip(unit).for_each(|(mean, x)| *mean += x / n as f64);
        }
        let squares = |unit: &Vec<f64>| -> f64 {
            unit.iter().zip(&mean).map(|(x, mean)| (x - mean).powi(2)).sum()
        };
        let variance = units.iter().map(squares).sum::<f64>() / (n * dim) as f64;
        let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 1.0 };
        Ok(Self { mean, scale })
    }

    /// `z(x)`; nothing where the embedding has no direction.
    fn of(&self, embedding: &[f32]) -> Vec<f64> {
        let unit = unit(embedding).unwrap_or_default();
        unit.iter().zip(&self.mean).map(|(x, mean)| (x - mean) * self.scale).collect()
    }
}

fn unit(embedding: &[f32]) -> Option<Vec<f64>> {
    let square: f64 = embedding.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let norm = square.sqrt();
    (norm > 0.0).then(|| embedding.iter().map(|&x| f64::from(x) / norm).collect())
}

impl NetEstimator {
    /// The sum over some prompts of the cross-entropy of their labels.
    fn loss(&self, history: &History, rows: &[usize]) -> f64 {
        let n_models = self.models.len();
        let of_row = |&row: &usize| -> f64 {
            let logits =
                self.layers.logits(&self.inputs.of(history.queries().query(row).embedding));
            let labels = &history.quality()[row * n_models..(row + 1) * n_models];
            let each = logits.iter().zip(labels).filter(|(_, label)| !label.is_nan());
            each.map(|(logit, label)| logistic(*logit, *label).0).sum()
        };
        rows.iter().map(of_row).sum()
    }
}

impl Estimator for NetEstimator {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.inputs.mean.len()
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        if *history.models() != self.models || history.len() < self.n_prompts {
            let (expected, got) = (self.n_prompts, history.len());
            return Err(FitError::Grown { what: "the list of models or prompts", expected, got });
        }
        let rows: Vec<usize> = (0..history.len()).collect();
        Ok(Box::new(self.recipe.learn(history, &rows, self.penalty, self.seed)?))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        _scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let (embedding, expected) = (query.embedding, self.dim());
        if embedding.len() != expected {
            return Err(EstimateError::Dimension { expected, got: embedding.len() });
        }
        if let Some(at) = embedding.iter().position(|x| !x.is_finite()) {
            return Err(EstimateError::NotFinite { at, got: embedding[at] });
        }
        if embedding.iter().all(|&x| x == 0.0) {
            return Err(EstimateError::ZeroVector);
        }
        let logits = self.layers.logits(&self.inputs.of(embedding));
        for (model, (logit, costs)) in logits.iter().zip(&self.costs).enumerate() {
            let quality = 1.0 / (1.0 + (-logit).exp());
            out.quality[model] = quality;
            out.quality_se[model] = (quality * (1.0 - quality)).sqrt();
            [out.cost[model], out.cost_se[model]] = *costs;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "net/tests.rs"]
mod tests;
