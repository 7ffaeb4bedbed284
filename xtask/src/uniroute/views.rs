//! Tables by name, each with the protocol that its bars are for.

use std::path::Path;

use anyhow::{Context, Result};
use tollgate::data::Table;
use tollgate_lab::uniroute::{Costs, Protocol};

use super::UnirouteOptions;

/// A table, and how it is cut.
pub(super) struct View {
    pub(super) name: String,
    pub(super) table: Table,
    pub(super) protocol: Protocol,
    /// Whether there are bars for it.
    pub(super) judged: bool,
    pub(super) embedded: bool,
}

/// The views that the book shows and the bars are for.
pub(super) const BOOK: [&str; 4] = ["zeroeval-28", "zeroeval-39", "zeroeval-55", "routerbench"];

/// What the options ask for.
pub(super) fn views(options: &UnirouteOptions, data: Option<&Path>) -> Result<Vec<View>> {
    let own = |name: String, table: Table| View {
        name,
        table,
        protocol: options.over(Protocol::default()),
        judged: false,
        embedded: false,
    };
    if let Some(file) = &options.table {
        let folder = file.parent().unwrap_or(Path::new("."));
        let name = file.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        return Ok(vec![own(name, Table::read(file, folder.join("embeddings.npy"))?)]);
    }
    let Some(data) = data else {
        let view = own("embedded".to_owned(), Table::embedded());
        return Ok(vec![View { embedded: true, ..view }]);
    };
    if ["queries.parquet", "queries.csv"].iter().any(|name| data.join(name).exists()) {
        let name = data.file_name().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        return Ok(vec![own(name, Table::load(data)?)]);
    }
    let book = BOOK.map(str::to_owned);
    let names = if options.streams.is_empty() { &book[..] } else { &options.streams };
    names.iter().map(|name| named(options, data, name)).collect()
}

fn named(options: &UnirouteOptions, data: &Path, name: &str) -> Result<View> {
    let paper = Protocol::default();
    let (table, protocol) = match name {
        "zeroeval-28" => (Table::load(data.join("zeroeval"))?, paper),
        "zeroeval-39" => (thirty_nine(&gapped(data)?)?, Protocol { labels: 300, ..paper }),
        // So that 37 of the 55 are unseen.
        "zeroeval-55" => (gapped(data)?, Protocol { test_models: 2.0 / 3.0, ..paper }),
        "routerbench" => (Table::load(data.join(name))?, Protocol { test_models: 0.5, ..paper }),
        _ => (Table::load(data.join(name)).with_context(|| name.to_owned())?, paper),
    };
    let (protocol, judged) = (options.over(protocol), BOOK.contains(&name));
    Ok(View { name: name.to_owned(), table, protocol, judged, embedded: false })
}

fn gapped(data: &Path) -> Result<Table> {
    let folder = data.join("zeroeval");
    Ok(Table::read(folder.join("queries_all_models.parquet"), folder.join("embeddings.npy"))?)
}

/// The models that were run on every crux and math prompt, without the two whose hidden
/// tokens nobody counted.
fn thirty_nine(all: &Table) -> Result<Table> {
    let rows: Vec<usize> =
        (0..all.len()).filter(|&row| !all.task(row).starts_with("gsm")).collect();
    let rows = all.select_rows(&rows)?;
    let n_models = rows.models().len();
    let complete = |model: usize| {
        !rows.quality().iter().skip(model).step_by(n_models).any(|score| score.is_nan())
    };
    let models = rows.models().iter().enumerate();
    let names: Vec<&str> = models
        .filter(|(model, id)| complete(*model) && !id.as_str().starts_with("o1-"))
        .map(|(_, id)| id.as_str())
        .collect();
    Ok(rows.select_models(&names)?)
}

impl UnirouteOptions {
    /// The view's protocol, but for what is asked for.
    fn over(&self, protocol: Protocol) -> Protocol {
        Protocol {
            labels: self.n_val.unwrap_or(protocol.labels),
            test_models: self.test_share.unwrap_or(protocol.test_models),
            costs: if self.realised { Costs::Realised } else { protocol.costs },
            ..protocol
        }
    }
}

/// What a paper says of a view, where one does.
pub(super) fn published(name: &str) -> Option<&'static str> {
    (name == "routerbench").then_some(
        "The paper's Areas on RouterBench: ZeroRouter .689, K-NN .707, K-means .712, LearnedMap \
         .711, clairvoyant MLP .723. They are on all of its tasks, embedded by Gecko in 768 \
         dimensions; here are three of them, embedded by MiniLM in 384: what compares is the \
         order of the methods, not the numbers.",
    )
}
