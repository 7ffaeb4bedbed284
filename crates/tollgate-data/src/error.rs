//! What can be wrong with data: every refusal names the file, and the row and the
//! column wherever there is one.

use thiserror::Error;
use tollgate_core::{BoxError, HistoryError, ModelsError, ParamError, PriceListError};

/// Data that was refused.
///
/// A `file` is the path it was read from, or the name of a table that was built in
/// memory. A `row` is a 0-based data row of that file: the header is not counted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file that is not there.
    #[error("`{file}` does not exist")]
    Missing {
        /// The file.
        file: String,
    },
    /// A folder without a table.
    #[error("`{dir}` holds neither queries.parquet nor queries.csv")]
    NoTable {
        /// The folder.
        dir: String,
    },
    /// A table in a format that is not read.
    #[error("`{file}` is neither .parquet nor .csv")]
    Format {
        /// The file.
        file: String,
    },
    /// A file that is damaged, or not what its name says.
    #[error("`{file}` could not be read as {format}")]
    Unreadable {
        /// The file.
        file: String,
        /// The format it was read as.
        format: &'static str,
        /// What the reader stumbled on.
        source: BoxError,
    },
    /// A repeated column of labels.
    #[error("`{file}`: column `{column}` is there twice")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The column.
        column: String,
    },
    /// Costs of a model without its scores.
    #[error("`{file}`: column `{column}` has no twin column `{twin}`")]
    MissingTwin {
        /// The file.
        file: String,
        /// The costs.
        column: String,
        /// The scores that are missing.
        twin: String,
    },
    /// A table without models.
    #[error("`{file}` has no models: a model is a column with a `|total_cost` twin")]
    NoModels {
        /// The file.
        file: String,
    },
    /// Refused model names.
    #[error("`{file}`: the models are refused")]
    Models {
        /// The file.
        file: String,
        /// Why.
        source: ModelsError,
    },
    /// Refused prices.
    #[error("`{file}`: the prices are refused")]
    PriceList {
        /// The file.
        file: String,
        /// Why.
        source: PriceListError,
    },
    /// A table without rows.
    #[error("`{file}` has no rows")]
    Empty {
        /// The file.
        file: String,
    },
    /// A column of a type that does not fit.
    #[error("`{file}`: column `{column}` must be {expected}, got {got}")]
    ColumnType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What fits.
        expected: &'static str,
        /// Its type.
        got: String,
    },
    /// A cell that does not parse.
    #[error("`{file}`, row {row}, column `{column}`: expected {expected}, got `{got}`")]
    Cell {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// What fits.
        expected: &'static str,
        /// The cell.
        got: String,
    },
    /// A row with a cell too few or too many.
    #[error("`{file}`, row {row}: expected {expected} cells, got {got}")]
    Cells {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// Columns of the header.
        expected: usize,
        /// Cells of the row.
        got: usize,
    },
    /// A score out of range.
    #[error("`{file}`, row {row}, column `{column}`: a score must be in [0, 1], got {got}")]
    Score {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// The value.
        got: f64,
    },
    /// A cost out of range.
    #[error("`{file}`, row {row}, column `{column}`: a cost must be finite and >= 0, got {got}")]
    Cost {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// The value.
        got: f64,
    },
    /// A gap where a label is needed.
    #[error("`{file}`, row {row}, column `{column}`: a served row must have every score and cost")]
    Gap {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// The column without a value.
        column: String,
    },
    /// Embeddings of a shape that does not fit.
    #[error("`{file}` must have the shape (rows, dimension), dimension > 0, got {shape:?}")]
    EmbeddingShape {
        /// The file.
        file: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// Embeddings in the other order.
    #[error("`{file}` must be in C order, got Fortran order")]
    EmbeddingOrder {
        /// The file.
        file: String,
    },
    /// Embeddings of a type that does not fit.
    #[error("`{file}` must hold float32 or float64, got {got}")]
    EmbeddingType {
        /// The file.
        file: String,
        /// Its type.
        got: String,
    },
    /// Embeddings of another table.
    #[error("`{file}` has {got} embeddings, its table has {expected} rows")]
    EmbeddingCount {
        /// The file.
        file: String,
        /// Rows of the table.
        expected: usize,
        /// Rows of the file.
        got: u64,
    },
    /// An embedding that is not finite as a 32-bit float.
    #[error("`{file}`, row {row}, column {column}: an embedding must be finite, got {got}")]
    Embedding {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// The dimension.
        column: usize,
        /// The value.
        got: f32,
    },
    /// Tables in memory that do not fit each other.
    #[error("{what} of `{file}` has {got} values, expected {expected}")]
    Length {
        /// The table's name.
        file: String,
        /// Which part.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A name that is not in the table.
    #[error("`{file}` has no {what} `{name}`; it has {}", .valid.join(", "))]
    Unknown {
        /// The file.
        file: String,
        /// A model or a task.
        what: &'static str,
        /// The name.
        name: String,
        /// The names it has, sorted.
        valid: Vec<String>,
    },
    /// A row that is not in the table.
    #[error("`{file}` has no row {row}; it has {n_rows}")]
    NoRow {
        /// The file.
        file: String,
        /// The row.
        row: usize,
        /// How many there are.
        n_rows: usize,
    },
    /// Rows that do not make a history.
    #[error("the chosen rows of `{file}` are no history")]
    History {
        /// The file.
        file: String,
        /// Why.
        source: HistoryError,
    },
    /// A parameter out of range.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Keys that do not fit the stream.
    #[error("there are {got} keys for {expected} arrivals")]
    Keys {
        /// Arrivals.
        expected: usize,
        /// Keys.
        got: usize,
    },
    /// A key without an order.
    #[error("the key of arrival {position}, row {row}, is NaN")]
    Key {
        /// The position in the stream.
        position: usize,
        /// The row of the table.
        row: usize,
    },
    /// A splits file with other columns.
    #[error("`{file}`, line 1: the columns must be seed,position,index, got {got}")]
    SplitHeader {
        /// The file.
        file: String,
        /// Its columns.
        got: String,
    },
    /// A splits file with something that is not a number.
    #[error("`{file}`, line {line}, column `{column}`: expected an integer >= 0, got `{got}`")]
    SplitCell {
        /// The file.
        file: String,
        /// The line, 1-based.
        line: u64,
        /// The column.
        column: &'static str,
        /// The cell.
        got: String,
    },
    /// A split with two rows in one place.
    #[error("`{file}`, line {line}: seed {seed} has position {position} twice")]
    SplitPosition {
        /// The file.
        file: String,
        /// The line, 1-based.
        line: u64,
        /// The split.
        seed: u64,
        /// The position.
        position: usize,
    },
    /// A split with a row in two places.
    #[error("`{file}`, line {line}: seed {seed} has row {index} twice")]
    SplitIndex {
        /// The file.
        file: String,
        /// The line, 1-based.
        line: u64,
        /// The split.
        seed: u64,
        /// The row of the table.
        index: usize,
    },
    /// A split with a row that is not in the table.
    #[error("`{file}`, line {line}: row {index} is beyond the table, which has {n_rows} rows")]
    SplitRange {
        /// The file.
        file: String,
        /// The line, 1-based.
        line: u64,
        /// The row of the table.
        index: usize,
        /// How many there are.
        n_rows: usize,
    },
    /// A split with a position left out.
    #[error("`{file}`, line {line}: seed {seed} has position {got} but no position {expected}")]
    SplitGap {
        /// The file.
        file: String,
        /// The line of the next position that is there, 1-based.
        line: u64,
        /// The split.
        seed: u64,
        /// The position left out.
        expected: usize,
        /// The next position that is there.
        got: usize,
    },
    /// A split that leaves no history.
    #[error("`{file}`: seed {seed} streams every row and leaves no history")]
    SplitHistory {
        /// The file.
        file: String,
        /// The split.
        seed: u64,
    },
}
