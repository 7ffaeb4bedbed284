//! A checked table of prompts and models.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tollgate_core::{History, HistoryError, ModelId, Models, Queries};

use crate::DataError;
use crate::read::{COST_SUFFIX, Labels, open, read_csv, read_npy, read_parquet};

/// The parts of a table that is built in memory: see [`Table::new`].
#[derive(Clone, Debug, Default)]
pub struct TableParts {
    /// The name that errors call the table by.
    pub name: String,
    /// Model names, in any order; shape `(n_models,)`.
    pub models: Vec<String>,
    /// One task a row; empty where the table knows no tasks.
    pub tasks: Vec<String>,
    /// Scores in `[0, 1]`, NaN for a gap; row-major `(n, n_models)`, columns in the
    /// order of [`models`](Self::models).
    pub quality: Vec<f64>,
    /// Costs in USD, `>= 0`, NaN for a gap; shaped as the scores.
    pub cost: Vec<f64>,
    /// The dimension of the embedding, `> 0`.
    pub dim: usize,
    /// Finite; row-major `(n, dim)`.
    pub embeddings: Vec<f32>,
}

/// Prompts, each with an embedding, a task, and for every model a score and a cost
/// or a gap.
///
/// Everything is checked when the table is made, so that what reads from it need
/// not check again. Models are sorted bytewise by name: the order of a file's
/// columns changes nothing. An option of which only the score or only the cost is
/// known is a gap. Embeddings are kept as they are: they need not be normalized, and
/// may be zero.
#[derive(Clone, Debug)]
pub struct Table {
    source: String,
    models: Models,
    dim: usize,
    /// Position in `task_names`, one a row.
    tasks: Vec<u32>,
    task_names: Vec<String>,
    quality: Vec<f64>,
    cost: Vec<f64>,
    /// One a row, or nothing at all.
    input_tokens: Vec<f64>,
    embeddings: Vec<f32>,
    /// Which row of the source each row is: selections keep the source's numbers in
    /// their errors.
    source_rows: Vec<usize>,
    /// Gaps that have a score, so that errors name the column that is missing.
    without_cost: Arc<BTreeSet<(usize, ModelId)>>,
}

/// Means of a table: see [`Table::means`].
#[derive(Clone, Debug, PartialEq)]
pub struct Means {
    /// Mean score of each model, shape `(n_models,)`.
    pub quality: Vec<f64>,
    /// Mean cost of each model in USD, shape `(n_models,)`.
    pub cost: Vec<f64>,
}

impl Table {
    /// Reads a folder that holds `queries.parquet`, or else `queries.csv`, and
    /// `embeddings.npy`. See [`read`](Self::read).
    ///
    /// # Errors
    /// [`DataError::NoTable`] where there is neither, and as [`read`](Self::read).
    pub fn load(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        let queries = ["queries.parquet", "queries.csv"]
            .map(|name| dir.join(name))
            .into_iter()
            .find(|path| path.exists())
            .ok_or_else(|| DataError::NoTable { dir: dir.display().to_string() })?;
        Self::read(queries, dir.join("embeddings.npy"))
    }

    /// Reads a table of labels and its embeddings.
    ///
    /// `queries` is a `.parquet` or `.csv` file in the schema of RouterBench: for each
    /// model a column `<model>`, its score in `[0, 1]`, and a column
    /// `<model>|total_cost`, its cost in USD; NULL, NaN or an empty cell is a gap. A
    /// column `eval_name` holds the task, where there is one; characters of a column
    /// `prompt` are counted. Other columns are ignored. `embeddings` is a `.npy` file of float32 or float64 in C order, shape
    /// `(n, dim)`, its rows in the order of the table.
    ///
    /// # Errors
    /// [`DataError`] names the first thing that is wrong with either file.
    pub fn read(
        queries: impl AsRef<Path>,
        embeddings: impl AsRef<Path>,
    ) -> Result<Self, DataError> {
        let (queries, embeddings) = (queries.as_ref(), embeddings.as_ref());
        let file = queries.display().to_string();
        let labels = match queries.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => read_parquet(&file, open(queries, "parquet")?)?,
            Some("csv") => read_csv(&file, open(queries, "csv")?)?,
            _ => return Err(DataError::Format { file }),
        };
        let input = open(embeddings, "npy")?;
        Self::join(file, labels, &embeddings.display().to_string(), input)
    }

    /// The stream that comes with tollgate: 4,000 synthetic prompts and 11 models, made
    /// by [`synthetic::generate`](crate::synthetic::generate).
    #[expect(clippy::missing_panics_doc, reason = "reads a constant that a test reads too")]
    pub fn embedded() -> Self {
        use crate::synthetic::{EMBEDDED_CSV, EMBEDDED_NPY};
        read_csv("embedded", EMBEDDED_CSV)
            .and_then(|labels| Self::join("embedded".into(), labels, "embedded", EMBEDDED_NPY))
            .expect("a test reads this constant")
    }

    /// A table built in memory.
    ///
    /// # Errors
    /// [`DataError`] where lengths do not fit, names repeat, there are no models or no
    /// rows, or a value is out of range.
    pub fn new(parts: TableParts) -> Result<Self, DataError> {
        let TableParts { name, models, tasks, quality, cost, dim, embeddings } = parts;
        let rows = quality.len().checked_div(models.len()).unwrap_or(0);
        let sizes = [
            ("quality", rows * models.len(), quality.len()),
            ("cost", rows * models.len(), cost.len()),
            ("tasks", if tasks.is_empty() { 0 } else { rows }, tasks.len()),
            ("embeddings", rows * dim, embeddings.len()),
        ];
        if let Some(&(what, expected, got)) = sizes.iter().find(|(_, want, got)| want != got) {
            return Err(DataError::Length { file: name, what, expected, got });
        }
        if dim == 0 {
            return Err(DataError::EmbeddingShape { file: name, shape: vec![rows as u64, 0] });
        }
        let labels = Labels { models, tasks, input_tokens: Vec::new(), quality, cost };
        check_rows(&name, &labels)?;
        check_embeddings(&name, &embeddings, dim)?;
        Self::assemble(name, labels, embeddings, dim)
    }

    fn join(
        file: String,
        labels: Labels,
        npy_file: &str,
        npy: impl Read,
    ) -> Result<Self, DataError> {
        let rows = check_rows(&file, &labels)?;
        let (embeddings, dim) = read_npy(npy_file, npy, rows)?;
        check_embeddings(npy_file, &embeddings, dim)?;
        Self::assemble(file, labels, embeddings, dim)
    }

    /// Sorts the models, checks the labels, and makes half-known options gaps.
    fn assemble(
        source: String,
        labels: Labels,
        embeddings: Vec<f32>,
        dim: usize,
    ) -> Result<Self, DataError> {
        let Labels { models: names, tasks, input_tokens, mut quality, mut cost } = labels;
        let models = Models::new(&names)
            .map_err(|cause| DataError::Models { file: source.clone(), source: cause })?;
        let n_models = models.len();
        let n_rows = quality.len() / n_models;
        let columns: Vec<usize> = models
            .iter()
            .map(|id| names.iter().position(|name| name == id.as_str()).expect("sorted names"))
            .collect();
        if !columns.is_sorted() {
            let rows: Vec<usize> = (0..n_rows).collect();
            quality = pick(&quality, n_models, &rows, &columns);
            cost = pick(&cost, n_models, &rows, &columns);
        }

        let mut without_cost = BTreeSet::new();
        for (at, (score, usd)) in quality.iter_mut().zip(&mut cost).enumerate() {
            let (row, model) = (at / n_models, models.id(at % n_models));
            let (file, column) = (|| source.clone(), || model.to_string());
            if *score < 0.0 || *score > 1.0 {
                return Err(DataError::Score { file: file(), row, column: column(), got: *score });
            }
            if *usd < 0.0 || usd.is_infinite() {
                let column = column() + COST_SUFFIX;
                return Err(DataError::Cost { file: file(), row, column, got: *usd });
            }
            if usd.is_nan() && !score.is_nan() {
                without_cost.insert((row, model.clone()));
            }
            if score.is_nan() || usd.is_nan() {
                (*score, *usd) = (f64::NAN, f64::NAN);
            }
        }
        let (tasks, task_names) = number_tasks(&tasks, n_rows);
        Ok(Self {
            source,
            models,
            dim,
            tasks,
            task_names,
            quality,
            cost,
            input_tokens,
            embeddings,
            source_rows: (0..n_rows).collect(),
            without_cost: without_cost.into(),
        })
    }

    /// The models, in index order.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// How many prompts; never 0.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one row")]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The dimension of the embedding; never 0.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Where the labels came from: the path, `embedded`, or the name given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The tasks of the table, sorted bytewise; `""` where the source names none.
    pub fn task_names(&self) -> &[String] {
        &self.task_names
    }

    /// The task of each row, a position in [`task_names`](Self::task_names); shape `(n,)`.
    pub fn tasks(&self) -> &[u32] {
        &self.tasks
    }

    /// The name of a row's task.
    ///
    /// # Panics
    /// When `row` is not below [`len`](Self::len).
    pub fn task(&self, row: usize) -> &str {
        &self.task_names[self.tasks[row] as usize]
    }

    /// Scores in `[0, 1]`, row-major `(n, n_models)`; NaN is a gap.
    pub fn quality(&self) -> &[f64] {
        &self.quality
    }

    /// Costs in USD, row-major `(n, n_models)`; NaN exactly where the score is.
    pub fn cost(&self) -> &[f64] {
        &self.cost
    }

    /// Tokens of each prompt, shape `(n,)`: a quarter of its characters, which is a rule of
    /// thumb and no tokenizer, and how the costs of some published tables were made. `None`
    /// where the source has no column `prompt` of text.
    pub fn input_tokens(&self) -> Option<&[f64]> {
        (!self.input_tokens.is_empty()).then_some(&self.input_tokens[..])
    }

    /// The embeddings, row-major `(n, dim)`; finite.
    pub fn embeddings(&self) -> &[f32] {
        &self.embeddings
    }

    /// The embeddings, as estimators take them, with the tokens of the prompts.
    pub fn queries(&self) -> Queries<'_> {
        Queries::new(&self.embeddings, self.dim).input_tokens(self.input_tokens())
    }

    /// The row of the source that a row is: another number where this is a selection.
    ///
    /// # Panics
    /// When `row` is not below [`len`](Self::len).
    pub fn source_row(&self, row: usize) -> usize {
        self.source_rows[row]
    }

    /// The same rows for some of the models.
    ///
    /// # Errors
    /// [`DataError::Unknown`] lists the models there are; [`DataError::Models`] where a
    /// name repeats or there is none.
    pub fn select_models(&self, names: &[&str]) -> Result<Self, DataError> {
        let models = Models::new(names)
            .map_err(|source| DataError::Models { file: self.source.clone(), source })?;
        let columns = models
            .iter()
            .map(|id| {
                self.models.index_of(id.as_str()).ok_or_else(|| {
                    let valid = self.models.iter().map(ModelId::to_string).collect();
                    self.unknown("model", id.as_str(), valid)
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<usize> = (0..self.len()).collect();
        let n_models = self.models.len();
        Ok(Self {
            models,
            quality: pick(&self.quality, n_models, &rows, &columns),
            cost: pick(&self.cost, n_models, &rows, &columns),
            ..self.clone()
        })
    }

    /// The rows of one task, in order.
    ///
    /// # Errors
    /// [`DataError::Unknown`] lists the tasks there are.
    pub fn select_task(&self, name: &str) -> Result<Self, DataError> {
        let task = self
            .task_names
            .iter()
            .position(|task| task == name)
            .ok_or_else(|| self.unknown("task", name, self.task_names.clone()))?;
        let rows: Vec<usize> =
            (0..self.len()).filter(|&row| self.tasks[row] as usize == task).collect();
        self.select_rows(&rows)
    }

    /// Some rows, in the order given; a row may repeat.
    ///
    /// # Errors
    /// [`DataError::NoRow`] for a row that is not there, [`DataError::Empty`] for none.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Self, DataError> {
        self.check_range(rows)?;
        if rows.is_empty() {
            return Err(DataError::Empty { file: self.source.clone() });
        }
        let columns: Vec<usize> = (0..self.models.len()).collect();
        let dims: Vec<usize> = (0..self.dim).collect();
        let names: Vec<String> = rows.iter().map(|&row| self.task(row).to_owned()).collect();
        let (tasks, task_names) = number_tasks(&names, rows.len());
        Ok(Self {
            source: self.source.clone(),
            models: self.models.clone(),
            dim: self.dim,
            tasks,
            task_names,
            quality: pick(&self.quality, columns.len(), rows, &columns),
            cost: pick(&self.cost, columns.len(), rows, &columns),
            input_tokens: match &self.input_tokens[..] {
                [] => Vec::new(),
                counts => rows.iter().map(|&row| counts[row]).collect(),
            },
            embeddings: pick(&self.embeddings, self.dim, rows, &dims),
            source_rows: rows.iter().map(|&row| self.source_rows[row]).collect(),
            without_cost: Arc::clone(&self.without_cost),
        })
    }

    /// Some rows as the history that estimators learn from, in the order given, with the tokens
    /// of their prompts where the source has a column `prompt`.
    ///
    /// # Errors
    /// [`DataError::NoRow`] for a row that is not there, [`DataError::History`] where
    /// there are no rows or they leave a model without a label.
    pub fn history(&self, rows: &[usize]) -> Result<History, DataError> {
        let refused =
            |source: HistoryError| DataError::History { file: self.source.clone(), source };
        if rows.is_empty() {
            return Err(refused(HistoryError::Empty));
        }
        let part = self.select_rows(rows)?;
        let history = History::new(part.models, part.dim, part.embeddings, part.quality, part.cost)
            .map_err(refused)?;
        match part.input_tokens {
            tokens if tokens.is_empty() => Ok(history),
            tokens => history.with_input_tokens(tokens).map_err(refused),
        }
    }

    /// Checks that some rows have every label: a row whose answers are replayed must.
    ///
    /// # Errors
    /// [`DataError::Gap`] names the first that has not, [`DataError::NoRow`] a row that
    /// is not there.
    pub fn require_complete(&self, rows: &[usize]) -> Result<(), DataError> {
        self.check_range(rows)?;
        let n_models = self.models.len();
        for &row in rows {
            let labels = &self.quality[row * n_models..(row + 1) * n_models];
            let Some(model) = labels.iter().position(|score| score.is_nan()) else { continue };
            let (row, id) = (self.source_rows[row], self.models.id(model).clone());
            let mut column = id.to_string();
            if self.without_cost.contains(&(row, id)) {
                column += COST_SUFFIX;
            }
            return Err(DataError::Gap { file: self.source.clone(), row, column });
        }
        Ok(())
    }

    /// Mean score and cost of each model over the rows that label it; NaN for a model
    /// that no row labels.
    pub fn means(&self) -> Means {
        let n_models = self.models.len();
        let mean = |table: &[f64], model: usize| {
            let labels = table.iter().skip(model).step_by(n_models).filter(|x| !x.is_nan());
            let (sum, count) = labels.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
            sum / count
        };
        Means {
            quality: (0..n_models).map(|model| mean(&self.quality, model)).collect(),
            cost: (0..n_models).map(|model| mean(&self.cost, model)).collect(),
        }
    }

    fn check_range(&self, rows: &[usize]) -> Result<(), DataError> {
        let n_rows = self.len();
        match rows.iter().find(|&&row| row >= n_rows) {
            Some(&row) => Err(DataError::NoRow { file: self.source.clone(), row, n_rows }),
            None => Ok(()),
        }
    }

    fn unknown(&self, what: &'static str, name: &str, valid: Vec<String>) -> DataError {
        DataError::Unknown { file: self.source.clone(), what, name: name.into(), valid }
    }
}

/// How many rows there are; refuses none, and a table without models.
fn check_rows(file: &str, labels: &Labels) -> Result<usize, DataError> {
    match labels.quality.len().checked_div(labels.models.len()) {
        None => Err(DataError::NoModels { file: file.into() }),
        Some(0) => Err(DataError::Empty { file: file.into() }),
        Some(rows) => Ok(rows),
    }
}

fn check_embeddings(file: &str, embeddings: &[f32], dim: usize) -> Result<(), DataError> {
    match embeddings.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(DataError::Embedding {
            file: file.into(),
            row: at / dim,
            column: at % dim,
            got: embeddings[at],
        }),
    }
}

/// Some rows and columns of a row-major table that is `width` wide.
fn pick<T: Copy>(table: &[T], width: usize, rows: &[usize], columns: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|&row| columns.iter().map(move |&col| table[row * width + col])).collect()
}

/// Numbers the names in bytewise order; rows without names are all of the task `""`.
fn number_tasks(names: &[String], n_rows: usize) -> (Vec<u32>, Vec<String>) {
    let mut numbers: BTreeMap<&str, u32> = names.iter().map(|name| (name.as_str(), 0)).collect();
    if numbers.is_empty() {
        return (vec![0; n_rows], vec![String::new()]);
    }
    for (number, slot) in (0..).zip(numbers.values_mut()) {
        *slot = number;
    }
    let tasks = names.iter().map(|name| numbers[name.as_str()]).collect();
    (tasks, numbers.into_keys().map(str::to_owned).collect())
}

#[cfg(test)]
#[path = "table/tests.rs"]
mod tests;
