//! Reading tables: the schema that the formats share, and the formats.

mod csv;
mod npy;
mod parquet;
mod price_list;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

pub(crate) use self::csv::read_csv;
pub(crate) use self::npy::read_npy;
pub(crate) use self::parquet::read_parquet;
pub use self::price_list::read_price_list;
use crate::DataError;

/// What a column of costs ends in.
pub(crate) const COST_SUFFIX: &str = "|total_cost";

/// The column that holds the task.
pub(crate) const TASK_COLUMN: &str = "eval_name";

/// The column that holds the text of the prompt.
pub(crate) const PROMPT_COLUMN: &str = "prompt";

/// Characters a token, where only the text is known.
const CHARACTERS: f64 = 4.0;

/// How many tokens a prompt has, about.
pub(crate) fn count_tokens(prompt: &str) -> f64 {
    prompt.chars().count() as f64 / CHARACTERS
}

/// The labels of a table, before they are checked.
#[derive(Debug)]
pub(crate) struct Labels {
    /// Model names, in the order of the columns.
    pub(crate) models: Vec<String>,
    /// One task a row, or nothing at all.
    pub(crate) tasks: Vec<String>,
    /// Tokens of the prompt, one a row, or nothing at all.
    pub(crate) input_tokens: Vec<f64>,
    /// Row-major `(n, models.len())`, NaN where there is no value.
    pub(crate) quality: Vec<f64>,
    /// Row-major `(n, models.len())`, NaN where there is no value.
    pub(crate) cost: Vec<f64>,
}

/// Where in a table the labels are.
#[derive(Debug)]
struct Schema {
    models: Vec<ModelColumns>,
    task: Option<usize>,
    prompt: Option<usize>,
}

/// The twin columns of one model, by position.
#[derive(Debug)]
struct ModelColumns {
    name: String,
    score: usize,
    cost: usize,
}

impl Schema {
    /// Finds the models: the columns that have a `|total_cost` twin.
    fn find(file: &str, header: &[String]) -> Result<Self, DataError> {
        let position = |name: &str| header.iter().position(|column| column == name);
        let mut models = Vec::new();
        for (cost, column) in header.iter().enumerate() {
            let Some(name) = column.strip_suffix(COST_SUFFIX) else { continue };
            let score = position(name).ok_or_else(|| DataError::MissingTwin {
                file: file.into(),
                column: column.clone(),
                twin: name.into(),
            })?;
            models.push(ModelColumns { name: name.into(), score, cost });
        }
        let is_label = |column: &str| {
            column == TASK_COLUMN
                || models.iter().any(|model| {
                    model.name == column || column.strip_suffix(COST_SUFFIX) == Some(&model.name)
                })
        };
        let mut seen = BTreeSet::new();
        if let Some(column) = header.iter().find(|&column| is_label(column) && !seen.insert(column))
        {
            return Err(DataError::DuplicateColumn { file: file.into(), column: column.clone() });
        }
        if models.is_empty() {
            return Err(DataError::NoModels { file: file.into() });
        }
        Ok(Self { models, task: position(TASK_COLUMN), prompt: position(PROMPT_COLUMN) })
    }

    fn names(&self) -> Vec<String> {
        self.models.iter().map(|model| model.name.clone()).collect()
    }
}

/// Opens a file for reading.
pub(crate) fn open(path: &Path, format: &'static str) -> Result<File, DataError> {
    let file = path.display().to_string();
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => DataError::Missing { file },
        _ => DataError::Unreadable { file, format, source: source.into() },
    })
}

#[cfg(test)]
#[path = "read/tests.rs"]
mod tests;
