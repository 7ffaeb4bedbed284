//! Tables of prompts and models, splits of them, arrival orders, and the stream that
//! comes with tollgate.
//!
//! A [`Table`] holds `n` prompts and `M` models: for each prompt an embedding and a
//! task, for each option a score and a cost. It is checked when it is made, and what
//! is refused is named by file, row and column. A [`Split`] says which rows are the
//! stream, in order of arrival, and which are the history that estimators learn from.
//!
//! ```
//! use tollgate_core::Seed;
//! use tollgate_data::{Split, Table};
//!
//! let table = Table::embedded();
//! let split = Split::random(table.len(), 1_000, Seed(42))?;
//! table.require_complete(&split.stream)?;
//! let history = table.history(&split.history)?;
//! assert_eq!((history.len(), history.models().len()), (3_000, 11));
//! assert_eq!(table.select_task("synthetic-law")?.task_names(), ["synthetic-law"]);
//! # Ok::<(), tollgate_data::DataError>(())
//! ```
//!
//! # A table of your own
//!
//! Put two files into a folder and [`Table::load`] it:
//!
//! * `queries.parquet` or `queries.csv`: one row a prompt; for each model a column
//!   `<model>` with its score in `[0, 1]` and a column `<model>|total_cost` with its
//!   cost in USD. A column `eval_name` names the task, and of a column `prompt` the
//!   characters are counted, a quarter of them as tokens; every other column is ignored.
//!   NULL, NaN or an empty cell means that the model was not run on the prompt.
//! * `embeddings.npy`: float32 or float64 in C order, shape `(prompts, dimension)`, in
//!   the order of the table.
//!
//! The published tables of RouterBench have these columns; save them as parquet or CSV.
//! A table that is already in memory goes through [`Table::new`].
//!
//! # Useful for
//!
//! Experiments: replaying a stream of known answers, and fitting estimators.
//!
//! # Not useful for
//!
//! Tables larger than memory; computing embeddings; serving.

mod error;
pub mod order;
mod read;
mod split;
pub mod synthetic;
mod table;
#[cfg(test)]
mod testing;

pub use error::DataError;
pub use read::read_price_list;
pub use split::Split;
pub use table::{Means, Table, TableParts};
