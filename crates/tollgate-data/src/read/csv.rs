//! Tables as comma-separated values.

use std::io::Read;

use super::{Labels, Schema, count_tokens};
use crate::DataError;

/// Reads the labels of a CSV table with a header. An empty cell is a gap, and so is
/// `NaN` in any spelling that Rust parses.
pub(crate) fn read_csv(file: &str, input: impl Read) -> Result<Labels, DataError> {
    let unreadable = |source: csv::Error| DataError::Unreadable {
        file: file.into(),
        format: "csv",
        source: source.into(),
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let header: Vec<String> =
        reader.headers().map_err(unreadable)?.iter().map(str::to_owned).collect();
    let schema = Schema::find(file, &header)?;

    let mut labels = Labels {
        models: schema.names(),
        tasks: Vec::new(),
        input_tokens: Vec::new(),
        quality: Vec::new(),
        cost: Vec::new(),
    };
    let mut record = csv::StringRecord::new();
    let mut row = 0;
    while reader.read_record(&mut record).map_err(unreadable)? {
        if record.len() != header.len() {
            let (expected, got) = (header.len(), record.len());
            return Err(DataError::Cells { file: file.into(), row, expected, got });
        }
        let number = |column: usize| {
            let cell = record[column].trim();
            if cell.is_empty() {
                return Ok(f64::NAN);
            }
            cell.parse().map_err(|_| DataError::Cell {
                file: file.into(),
                row,
                column: header[column].clone(),
                expected: "a number",
                got: cell.into(),
            })
        };
        for model in &schema.models {
            labels.quality.push(number(model.score)?);
            labels.cost.push(number(model.cost)?);
        }
        if let Some(column) = schema.task {
            labels.tasks.push(record[column].into());
        }
        if let Some(column) = schema.prompt {
            labels.input_tokens.push(count_tokens(&record[column]));
        }
        row += 1;
    }
    Ok(labels)
}
