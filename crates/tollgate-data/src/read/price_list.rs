//! Price lists as comma-separated values.

use std::path::Path;

use serde::Deserialize;
use tollgate_core::{PriceList, TokenPrice};

use super::open;
use crate::DataError;

/// Prices are written for so many tokens.
const TOKENS: f64 = 1e6;

/// One line; other columns are ignored.
#[derive(Deserialize)]
struct Line {
    model: String,
    usd_per_mtok_in: f64,
    usd_per_mtok_out: f64,
}

/// Reads a price list: a CSV file with the columns `model`, `usd_per_mtok_in` and
/// `usd_per_mtok_out` (USD for a million tokens of the prompt and of the answer), one line a
/// model; other columns are ignored.
///
/// # Errors
/// [`DataError`]: a file that is not there or not such a table, or [`DataError::PriceList`]
/// with the model and the price that is refused.
pub fn read_price_list(path: impl AsRef<Path>) -> Result<PriceList, DataError> {
    let path = path.as_ref();
    let file = || path.display().to_string();
    let mut reader = csv::Reader::from_reader(open(path, "csv")?);
    let lines = reader.deserialize().map(|line| {
        let Line { model, usd_per_mtok_in, usd_per_mtok_out } = line?;
        let price =
            TokenPrice { input: usd_per_mtok_in / TOKENS, output: usd_per_mtok_out / TOKENS };
        Ok((model, price))
    });
    let lines = lines.collect::<Result<Vec<_>, csv::Error>>().map_err(|source| {
        DataError::Unreadable { file: file(), format: "a price list", source: source.into() }
    })?;
    PriceList::new(lines).map_err(|source| DataError::PriceList { file: file(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn prices_are_for_a_million_tokens() {
        let folder = Folder::new();
        let text = "note,model,usd_per_mtok_out,usd_per_mtok_in\n,b,8,2\nlist,a,0.5,0.25\n";
        let list = read_price_list(folder.file("models.csv", text)).unwrap();
        assert_eq!(
            list.models().iter().map(tollgate_core::ModelId::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!((list.cost(1, 1e6, 1e6) - 10.0).abs() < 1e-12);
        assert!((list.cost(0, 1e6, 0.0) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn refusals() {
        let folder = Folder::new();
        let message = |text: &str| {
            let error = read_price_list(folder.file("models.csv", text)).unwrap_err();
            folder.message(&error)
        };
        insta::assert_snapshot!(message("model,usd_per_mtok_in,usd_per_mtok_out\nm,-1,2\n"), @"`models.csv`: the prices are refused: input price of model `m` must be finite and >= 0 USD per token, got -0.000001");
        insta::assert_snapshot!(message("model,usd_per_mtok_in,usd_per_mtok_out\n"), @"`models.csv`: the prices are refused: the models of the price list are refused: there are no models");
        let error = read_price_list(folder.path().join("none.csv")).unwrap_err();
        insta::assert_snapshot!(folder.message(&error), @"`none.csv` does not exist");
        let error = message("model,usd_per_mtok_in\nm,1\n");
        assert!(error.contains("could not be read as a price list"), "{error}");
    }
}
