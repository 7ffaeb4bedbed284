//! Tables as parquet, column by column.

use std::fs::File;

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::{Labels, Schema, count_tokens};
use crate::DataError;

/// Reads the labels of a parquet table; NULL is a gap, columns that no label is in
/// are never decoded.
pub(crate) fn read_parquet(file: &str, input: File) -> Result<Labels, DataError> {
    let reader = SerializedFileReader::new(input).map_err(|source| unreadable(file, source))?;
    let table = ParquetTable { file, reader };

    // Leaves of nested columns hold no labels, and their names may repeat.
    let descriptor = table.reader.metadata().file_metadata().schema_descr_ptr();
    let (flat, header): (Vec<usize>, Vec<String>) = (0..descriptor.num_columns())
        .map(|leaf| (leaf, descriptor.column(leaf)))
        .filter(|(_, column)| column.path().parts().len() == 1 && column.max_rep_level() == 0)
        .map(|(leaf, column)| (leaf, column.name().to_owned()))
        .unzip();
    let schema = Schema::find(file, &header)?;

    let mut tasks = Vec::new();
    if let Some(column) = schema.task {
        table.texts(flat[column], &mut tasks)?;
    }
    let mut prompts = Vec::new();
    if let Some(column) = schema.prompt.filter(|&column| table.is_text(flat[column])) {
        table.texts(flat[column], &mut prompts)?;
    }
    let input_tokens = prompts.iter().map(|prompt| count_tokens(prompt)).collect();
    let n_models = schema.models.len();
    let mut labels = Labels {
        models: schema.names(),
        tasks,
        input_tokens,
        quality: Vec::new(),
        cost: Vec::new(),
    };
    for (at, model) in schema.models.iter().enumerate() {
        scatter(&table.numbers(flat[model.score])?, at, n_models, &mut labels.quality);
        scatter(&table.numbers(flat[model.cost])?, at, n_models, &mut labels.cost);
    }
    Ok(labels)
}

/// Writes a column into a row-major table of `width` columns.
fn scatter(column: &[f64], at: usize, width: usize, table: &mut Vec<f64>) {
    table.resize(column.len() * width, f64::NAN);
    for (row, &value) in column.iter().enumerate() {
        table[row * width + at] = value;
    }
}

fn unreadable(file: &str, source: ParquetError) -> DataError {
    DataError::Unreadable { file: file.into(), format: "parquet", source: source.into() }
}

struct ParquetTable<'a> {
    file: &'a str,
    reader: SerializedFileReader<File>,
}

impl ParquetTable<'_> {
    /// A column of numbers, NaN for NULL.
    fn numbers(&self, leaf: usize) -> Result<Vec<f64>, DataError> {
        let mut out = Vec::new();
        self.chunks(leaf, "a number", |chunk, column, rows| {
            // Decimals and dates are integers too, and mean something else.
            if !is_plain_number(column) {
                return Ok(false);
            }
            match chunk {
                ColumnReader::DoubleColumnReader(c) => read(c, column, rows, |&x| x, &mut out),
                ColumnReader::FloatColumnReader(c) => {
                    read(c, column, rows, |&x| f64::from(x), &mut out)
                }
                ColumnReader::Int32ColumnReader(c) => {
                    read(c, column, rows, |&x| f64::from(x), &mut out)
                }
                ColumnReader::Int64ColumnReader(c) => {
                    read(c, column, rows, |&x| x as f64, &mut out)
                }
                ColumnReader::BoolColumnReader(c) => {
                    read(c, column, rows, |&x| f64::from(u8::from(x)), &mut out)
                }
                _ => return Ok(false),
            }
            .map(|()| true)
        })?;
        Ok(out.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }

    /// Whether a column is of text: one that is ignored otherwise may be anything.
    fn is_text(&self, leaf: usize) -> bool {
        self.column(leaf).physical_type() == Type::BYTE_ARRAY
    }

    /// A column of text, empty for NULL.
    fn texts(&self, leaf: usize, out: &mut Vec<String>) -> Result<(), DataError> {
        let mut cells: Vec<Option<ByteArray>> = Vec::new();
        self.chunks(leaf, "text", |chunk, column, rows| match chunk {
            ColumnReader::ByteArrayColumnReader(c) => {
                read(c, column, rows, ByteArray::clone, &mut cells).map(|()| true)
            }
            _ => Ok(false),
        })?;
        for (row, cell) in cells.iter().enumerate() {
            let bytes = cell.as_ref().map_or(&[][..], ByteArray::data);
            let text = std::str::from_utf8(bytes).map_err(|_| DataError::Cell {
                file: self.file.into(),
                row,
                column: self.column(leaf).name().into(),
                expected: "UTF-8 text",
                got: String::from_utf8_lossy(bytes).into(),
            })?;
            out.push(text.into());
        }
        Ok(())
    }

    /// Hands each row group's part of a column to `take`, which says whether it
    /// knows the type.
    fn chunks(
        &self,
        leaf: usize,
        expected: &'static str,
        mut take: impl FnMut(ColumnReader, &ColumnDescriptor, usize) -> Result<bool, ParquetError>,
    ) -> Result<(), DataError> {
        let column = self.column(leaf);
        let broken = |source| unreadable(self.file, source);
        for index in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(index).map_err(broken)?;
            let rows = usize::try_from(group.metadata().num_rows())
                .map_err(|_| broken(ParquetError::General("a negative number of rows".into())))?;
            let chunk = group.get_column_reader(leaf).map_err(broken)?;
            if !take(chunk, &column, rows).map_err(broken)? {
                let physical = column.physical_type();
                let got = match column.converted_type() {
                    ConvertedType::NONE => physical.to_string(),
                    converted => format!("{physical} ({converted})"),
                };
                return Err(DataError::ColumnType {
                    file: self.file.into(),
                    column: column.name().into(),
                    expected,
                    got,
                });
            }
        }
        Ok(())
    }

    fn column(&self, leaf: usize) -> ColumnDescPtr {
        self.reader.metadata().file_metadata().schema_descr().column(leaf)
    }
}

/// Whether the stored value is the number meant.
fn is_plain_number(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), None | Some(LogicalType::Integer(_)))
        && !matches!(
            column.converted_type(),
            ConvertedType::DECIMAL
                | ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS
        )
}

/// Appends the `rows` values of one row group, `None` for NULL.
fn read<T: DataType, V>(
    mut chunk: ColumnReaderImpl<T>,
    column: &ColumnDescriptor,
    rows: usize,
    convert: impl Fn(&T::T) -> V,
    out: &mut Vec<Option<V>>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (records, ..) = chunk.read_records(rows, Some(&mut levels), None, &mut values)?;
    if records != rows {
        return Err(ParquetError::General(format!(
            "column `{}` has {records} values in a group of {rows} rows",
            column.name()
        )));
    }
    let mut values = values.iter().map(convert);
    if column.max_def_level() == 0 {
        out.extend(values.map(Some));
    } else {
        let present = column.max_def_level();
        out.extend(levels.iter().map(|&level| if level == present { values.next() } else { None }));
    }
    Ok(())
}
