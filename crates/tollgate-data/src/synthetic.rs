//! A synthetic stream that is as hard to route as RouterBench.
//!
//! # Problem
//!
//! Tests, examples and comparisons need a stream that may be given away, is small,
//! and does not make routing look easier than it is. It has the models of
//! RouterBench with their published mean scores and costs, and is tuned so that the
//! simple policies do as well, relative to the approximate optimum, as they are
//! reported to do on RouterBench. Nothing in it is measured on a real prompt.
//!
//! # Method
//!
//! A prompt `j` belongs to a topic `z`, drawn with probability proportional to
//! `rank^-1/2`; a topic belongs to a task `t`. With normal draws `n` of the standard
//! deviations in [`SyntheticConfig`] and a logistic draw `l`, for each model `i`:
//!
//! ```text
//! strength_ji = n_t + n_z + n_j + n_ti + n_zi + l_ji                           (1)
//! score_ji    = 1 if strength_ji is among the round(N P_i) highest of model i, else 0
//! cost_ji     = c_i exp(n_t + n_z + n_j + n_zi + n_ji)                         (2)
//! e_j         = unit(center_z + noise),  center_z = unit(share unit_t + n)     (3)
//! ```
//!
//! `P_i` is the published mean score, which (1) therefore meets to within a prompt:
//! a Bernoulli score, conditioned on its sum. `c_i` is such that the mean of (2) is
//! the published mean cost. Embeddings (3) reveal the topic, blurred; what a prompt
//! adds of its own to (1) and (2) cannot be seen in them.
//!
//! # Departures
//!
//! Some tasks of RouterBench are graded; here every score is 0 or 1.
//!
//! # References
//!
//! Hu et al., 2024, *RouterBench*, arXiv 2403.12031. Wu and Silwal, 2025, *PORT*,
//! arXiv 2509.02718: the means and the results of the simple policies.

use std::fmt::Write as _;

use npyz::WriterBuilder as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollgate_core::{ParamError, Purpose, Seed, StreamRng};

use crate::read::COST_SUFFIX;

/// The labels of the embedded stream.
pub(crate) const EMBEDDED_CSV: &[u8] = include_bytes!("../../../fixtures/stream/queries.csv");

/// The embeddings of the embedded stream.
pub(crate) const EMBEDDED_NPY: &[u8] = include_bytes!("../../../fixtures/stream/embeddings.npy");

/// The seed of the embedded stream.
pub const EMBEDDED_SEED: Seed = Seed(1);

/// The models of RouterBench: name, published mean score, published mean cost in USD.
pub const MODELS: [(&str, f64, f64); 11] = [
    ("WizardLM/WizardLM-13B-V1.2", 0.432_143_26, 7.270_315_51e-5),
    ("claude-instant-v1", 0.598_443_22, 2.318_958_98e-4),
    ("claude-v1", 0.630_643_09, 2.136_216_78e-3),
    ("claude-v2", 0.635_568_18, 2.410_479_98e-3),
    ("gpt-3.5-turbo-1106", 0.616_569_8, 2.422_023_63e-4),
    ("gpt-4-1106-preview", 0.781_122_39, 3.280_954_45e-3),
    ("meta/code-llama-instruct-34b-chat", 0.202_568_22, 1.714_266_5e-4),
    ("meta/llama-2-70b-chat", 0.328_482_47, 2.019_023_32e-4),
    ("mistralai/mistral-7b-chat", 0.308_450_01, 4.557_521_23e-5),
    ("mistralai/mixtral-8x7b-chat", 0.549_790_54, 1.341_718_61e-4),
    ("zero-one-ai/Yi-34B-Chat", 0.647_837_49, 1.849_267_16e-4),
];

const N_MODELS: usize = MODELS.len();

/// The tasks, named so that nobody takes them for real ones.
const TASKS: [&str; 8] = [
    "synthetic-arithmetic",
    "synthetic-code",
    "synthetic-commonsense",
    "synthetic-dialogue",
    "synthetic-law",
    "synthetic-reading",
    "synthetic-science",
    "synthetic-translation",
];

/// Knobs of [`generate`]. The defaults make the embedded stream.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Prompts, `>= 1`. Default 4,000.
    pub n_queries: usize,
    /// The dimension of the embedding, `>= 1`. Default 40.
    pub dim: usize,
    /// Topics over all 8 tasks, `>= 1`. Default 48.
    pub n_topics: usize,
    /// Spread of `n_t` in (1), what a task adds for all models, in logits, in `[0, 10]`.
    /// Default 0.75.
    pub task_ease: f64,
    /// Spread of `n_z` in (1), what a topic adds for all models, in logits, in `[0, 10]`.
    /// Default 0.85.
    pub topic_ease: f64,
    /// Spread of `n_j` in (1), what a prompt adds for all models, in logits, in `[0, 10]`.
    /// Default 0.9.
    pub prompt_ease: f64,
    /// Spread of `n_ti` in (1), a model's bent for a task, in logits, in `[0, 10]`.
    /// Default 0.25.
    pub task_skill: f64,
    /// Spread of `n_zi` in (1), a model's bent for a topic, in logits, in `[0, 10]`.
    /// Default 0.6.
    pub topic_skill: f64,
    /// Spread of `n_t` in (2), a task's length, in natural logarithms, in `[0, 10]`.
    /// Default 0.3.
    pub task_length: f64,
    /// Spread of `n_z` in (2), a topic's length, in natural logarithms, in `[0, 10]`.
    /// Default 0.5.
    pub topic_length: f64,
    /// Spread of `n_j` in (2), a prompt's length, in natural logarithms, in `[0, 10]`.
    /// Default 0.4.
    pub prompt_length: f64,
    /// Spread of `n_zi` in (2), a model's verbosity on a topic, in natural logarithms, in
    /// `[0, 10]`. Default 0.35.
    pub topic_verbosity: f64,
    /// Spread of `n_ji` in (2), an answer's length, in natural logarithms, in `[0, 10]`.
    /// Default 0.3.
    pub answer_length: f64,
    /// `share` in (3): how much the topics of a task resemble each other, in `[0, 10]`.
    /// Default 0.8.
    pub task_share: f64,
    /// Expected length of the noise in (3), before the sum is normalized, in `[0, 10]`.
    /// Default 1.0.
    pub embedding_noise: f64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            n_queries: 4_000,
            dim: 40,
            n_topics: 48,
            task_ease: 0.75,
            topic_ease: 0.85,
            prompt_ease: 0.9,
            task_skill: 0.25,
            topic_skill: 0.6,
            task_length: 0.3,
            topic_length: 0.5,
            prompt_length: 0.4,
            topic_verbosity: 0.35,
            answer_length: 0.3,
            task_share: 0.8,
            embedding_noise: 1.0,
        }
    }
}

impl SyntheticConfig {
    fn check(&self) -> Result<(), ParamError> {
        let counts =
            [("n_queries", self.n_queries), ("dim", self.dim), ("n_topics", self.n_topics)];
        if let Some((field, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(ParamError { field, rule: ">= 1", got: 0.0 });
        }
        let spreads = [
            ("task_ease", self.task_ease),
            ("topic_ease", self.topic_ease),
            ("prompt_ease", self.prompt_ease),
            ("task_skill", self.task_skill),
            ("topic_skill", self.topic_skill),
            ("task_length", self.task_length),
            ("topic_length", self.topic_length),
            ("prompt_length", self.prompt_length),
            ("topic_verbosity", self.topic_verbosity),
            ("answer_length", self.answer_length),
            ("task_share", self.task_share),
            ("embedding_noise", self.embedding_noise),
        ];
        // Beyond ten, the exponential of (2) and the squares of (3) lose their meaning.
        match spreads.into_iter().find(|(_, spread)| !(0.0..=10.0).contains(spread)) {
            Some((field, got)) => Err(ParamError { field, rule: "in [0, 10]", got }),
            None => Ok(()),
        }
    }
}

/// The files of a synthetic stream, byte for byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyntheticStream {
    /// `queries.csv`: the labels. Scores are 0 or 1, costs have six significant digits.
    pub queries_csv: Vec<u8>,
    /// `embeddings.npy`: float32, shape `(n_queries, dim)`, of length 1 up to rounding.
    pub embeddings_npy: Vec<u8>,
}

impl SyntheticStream {
    /// `SHA256SUMS`: the checksums of both files, in the form of `sha256sum`.
    pub fn checksums(&self) -> String {
        format!(
            "{}  embeddings.npy\n{}  queries.csv\n",
            checksum(&self.embeddings_npy),
            checksum(&self.queries_csv)
        )
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Makes a stream: the same bytes for the same configuration and seed.
///
/// # Errors
/// [`ParamError`] names the first knob out of range.
pub fn generate(config: &SyntheticConfig, seed: Seed) -> Result<SyntheticStream, ParamError> {
    config.check()?;
    let world = World::draw(config, &mut seed.stream(Purpose::Synthesis, 0));
    let prompts: Vec<Prompt> = (1..=config.n_queries as u64)
        .map(|counter| Prompt::draw(config, &world, &mut seed.stream(Purpose::Synthesis, counter)))
        .collect();
    let scores = score(&prompts);
    let costs = scale(&prompts);
    Ok(SyntheticStream {
        queries_csv: write_csv(&world, &prompts, &scores, &costs),
        embeddings_npy: write_npy(&prompts, config.dim),
    })
}

/// What all prompts share.
struct World {
    topics: Vec<Topic>,
    /// Probability that a prompt's topic is this one or one before.
    cumulative: Vec<f64>,
}

struct Topic {
    /// Position in [`TASKS`].
    task: usize,
    /// `n_t + n_z + n_ti + n_zi` of (1).
    strength: [f64; N_MODELS],
    /// `n_t + n_z + n_zi` of (2).
    log_cost: [f64; N_MODELS],
    /// `center_z` of (3).
    center: Vec<f64>,
}

impl World {
    fn draw(config: &SyntheticConfig, rng: &mut StreamRng) -> Self {
        let tasks: Vec<Topic> = (0..TASKS.len())
            .map(|task| {
                let ease = config.task_ease * rng.normal();
                let length = config.task_length * rng.normal();
                Topic {
                    task,
                    strength: std::array::from_fn(|_| ease + config.task_skill * rng.normal()),
                    log_cost: [length; N_MODELS],
                    center: unit((0..config.dim).map(|_| rng.normal()).collect()),
                }
            })
            .collect();

        let blur = 1.0 / (config.dim as f64).sqrt();
        let topics: Vec<Topic> = (0..config.n_topics)
            .map(|index| {
                let task = &tasks[index % TASKS.len()];
                let ease = config.topic_ease * rng.normal();
                let length = config.topic_length * rng.normal();
                Topic {
                    task: task.task,
                    strength: task
                        .strength
                        .map(|strength| strength + ease + config.topic_skill * rng.normal()),
                    log_cost: task
                        .log_cost
                        .map(|log_cost| log_cost + length + config.topic_verbosity * rng.normal()),
                    center: unit(
                        task.center
                            .iter()
                            .map(|x| config.task_share * x + blur * rng.normal())
                            .collect(),
                    ),
                }
            })
            .collect();

        let mut weights: Vec<f64> =
            (1..=topics.len()).map(|rank| 1.0 / (rank as f64).sqrt()).collect();
        rng.shuffle(&mut weights);
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        let cumulative = weights
            .iter()
            .map(|weight| {
                sum += weight / total;
                sum
            })
            .collect();
        Self { topics, cumulative }
    }
}

struct Prompt {
    /// Position in the topics.
    topic: usize,
    /// (1).
    strength: [f64; N_MODELS],
    /// The exponent of (2).
    log_cost: [f64; N_MODELS],
    /// (3).
    embedding: Vec<f64>,
}

impl Prompt {
    fn draw(config: &SyntheticConfig, world: &World, rng: &mut StreamRng) -> Self {
        let u = rng.uniform();
        // The last sum may be rounded to a little below 1.
        let last = world.topics.len() - 1;
        let index = world.cumulative.partition_point(|&sum| sum <= u).min(last);
        let topic = &world.topics[index];
        let blur = config.embedding_noise / (config.dim as f64).sqrt();
        let embedding =
            unit(topic.center.iter().map(|center| center + blur * rng.normal()).collect());
        let ease = config.prompt_ease * rng.normal();
        let length = config.prompt_length * rng.normal();
        Self {
            topic: index,
            strength: topic.strength.map(|strength| {
                let u = rng.uniform();
                strength + ease + (u / (1.0 - u)).ln()
            }),
            log_cost: topic
                .log_cost
                .map(|log_cost| log_cost + length + config.answer_length * rng.normal()),
            embedding,
        }
    }
}

/// (1): whether each model answers each prompt well.
fn score(prompts: &[Prompt]) -> Vec<[bool; N_MODELS]> {
    let mut scores = vec![[false; N_MODELS]; prompts.len()];
    for (model, &(_, quality, _)) in MODELS.iter().enumerate() {
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.sort_by(|&a, &b| prompts[b].strength[model].total_cmp(&prompts[a].strength[model]));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the prompts"
        )]
        let good = (quality * prompts.len() as f64).round() as usize;
        for &row in &order[..good] {
            scores[row][model] = true;
        }
    }
    scores
}

/// (2): the cost of each option in USD.
fn scale(prompts: &[Prompt]) -> Vec<[f64; N_MODELS]> {
    let mut costs: Vec<[f64; N_MODELS]> =
        prompts.iter().map(|prompt| prompt.log_cost.map(f64::exp)).collect();
    for (model, &(_, _, mean)) in MODELS.iter().enumerate() {
        let sum: f64 = costs.iter().map(|row| row[model]).sum();
        let factor = mean * prompts.len() as f64 / sum;
        for row in &mut costs {
            row[model] *= factor;
        }
    }
    costs
}

fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length > 0.0 {
        for x in &mut vector {
            *x /= length;
        }
    }
    vector
}

/// No cell holds a comma or a quote, so none is quoted.
fn write_csv(
    world: &World,
    prompts: &[Prompt],
    scores: &[[bool; N_MODELS]],
    costs: &[[f64; N_MODELS]],
) -> Vec<u8> {
    let mut csv = String::from("index,prompt,eval_name");
    for (name, ..) in MODELS {
        // Writing to a string cannot fail.
        let _ = write!(csv, ",{name},{name}{COST_SUFFIX}");
    }
    for (row, prompt) in prompts.iter().enumerate() {
        let task = TASKS[world.topics[prompt.topic].task];
        let number = prompt.topic / TASKS.len();
        let _ = write!(csv, "\n{row},synthetic prompt {row} of topic {task}/{number},{task}");
        for (&good, cost) in scores[row].iter().zip(&costs[row]) {
            let _ = write!(csv, ",{},{cost:.5e}", u8::from(good));
        }
    }
    csv.push('\n');
    csv.into_bytes()
}

fn write_npy(prompts: &[Prompt], dim: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are 32-bit floats")]
    let values = prompts.iter().flat_map(|prompt| &prompt.embedding).map(|&x| x as f32);
    let dtype = "<f4".parse().map(npyz::DType::Plain).expect("a type of NumPy");
    let mut writer = npyz::WriteOptions::new()
        .dtype(dtype)
        .shape(&[prompts.len() as u64, dim as u64])
        .writer(&mut bytes)
        .begin_nd()
        .expect("memory takes every write");
    writer.extend(values).expect("memory takes every write");
    writer.finish().expect("as many values as the shape has");
    bytes
}

#[cfg(test)]
#[path = "synthetic/tests.rs"]
mod tests;
