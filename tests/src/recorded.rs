//! The recorded runs in the `golden/` folder beside the real streams.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use tollgate::core::EstimateTable;
use tollgate::data::Table;

use crate::golden::estimates;

/// The folder of the real streams.
///
/// # Panics
/// When `TOLLGATE_DATA` does not name it: a test that needs it must not pass without.
pub fn data() -> PathBuf {
    let folder = std::env::var("TOLLGATE_DATA").expect(
        "TOLLGATE_DATA must name the folder that holds routerbench/, zeroeval/, routellm/, \
         ollv2_semi/ and golden/: these tests run on real streams",
    );
    PathBuf::from(folder)
}

/// A real stream.
///
/// # Panics
/// When it is not there.
pub fn table(stream: &str) -> Table {
    Table::load(data().join(stream)).expect("a real stream in TOLLGATE_DATA")
}

/// The file that says which rows of a stream arrive under each seed.
///
/// # Panics
/// As [`data`].
pub fn splits(stream: &str) -> PathBuf {
    data().join(format!("golden/splits_{stream}.csv"))
}

/// What one method came to on one seed.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// Sum of the scores of the served queries; the value of the program for an `lp-` method.
    pub performance: f64,
    /// What they cost, in USD.
    pub cost: f64,
    /// How many they are.
    pub served: u64,
}

/// `reference_<stream>.csv`: by method, then by seed.
#[derive(Clone, Debug)]
pub struct Reference(BTreeMap<String, BTreeMap<u64, Recorded>>);

impl Reference {
    /// Reads it.
    ///
    /// # Panics
    /// When it is not there or not as expected.
    pub fn read(stream: &str) -> Self {
        let path = data().join(format!("golden/reference_{stream}.csv"));
        let mut reader = csv::Reader::from_path(path).expect("a reference file");
        let mut methods: BTreeMap<String, BTreeMap<u64, Recorded>> = BTreeMap::new();
        for record in reader.deserialize() {
            let (seed, method, performance, cost, served): (u64, String, f64, f64, u64) =
                record.expect("seed,method,performance,cost,served");
            let recorded = Recorded { performance, cost, served };
            methods.entry(method).or_default().insert(seed, recorded);
        }
        Self(methods)
    }

    /// One method on one seed.
    ///
    /// # Panics
    /// When it was not recorded.
    pub fn of(&self, method: &str, seed: u64) -> Recorded {
        self.0[method][&seed]
    }

    /// Mean Performance of a method over the seeds.
    ///
    /// # Panics
    /// When it was not recorded.
    pub fn performance(&self, method: &str) -> f64 {
        let seeds = &self.0[method];
        seeds.values().map(|run| run.performance).sum::<f64>() / seeds.len() as f64
    }

    /// The published code at the learning share that suits the stream best: its name here
    /// and its mean Performance.
    ///
    /// # Panics
    /// When it was not recorded.
    pub fn best_published(&self) -> (&str, f64) {
        let runs = self.0.keys().filter(|method| method.starts_with("port-reference"));
        let means = runs.map(|method| (method.as_str(), self.performance(method)));
        means.max_by(|a, b| a.1.total_cmp(&b.1)).expect("the published code was recorded")
    }
}

/// `port_<stream>.parquet`: every arrival of the recorded runs, in arrival order.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Rows of the table.
    pub rows: Vec<usize>,
    /// The five nearest rows of the table that are history, nearest first.
    pub neighbors: Vec<[usize; 5]>,
    /// The means over them.
    pub estimates: EstimateTable,
    /// By learning share as written in the column: the arm, equal to the number of models
    /// for the drop arm, and whether it was served.
    pub choices: BTreeMap<String, Vec<(usize, bool)>>,
}

impl Arrivals {
    /// Reads it.
    ///
    /// # Panics
    /// When it is not there or not as expected.
    pub fn read(stream: &str, models: &[String], shares: &[f64]) -> Self {
        let path = data().join(format!("golden/port_{stream}.parquet"));
        let rows = read_rows(&path);
        let column = |name: &str| -> Vec<&Field> {
            let find = |row: &'_ Row| -> usize {
                row.get_column_iter().position(|(have, _)| have == name).expect("the column")
            };
            let at = rows.first().map_or(0, find);
            rows.iter().map(|row| row.get_column_iter().nth(at).expect("the column").1).collect()
        };
        let indices = |name: &str| -> Vec<usize> { column(name).into_iter().map(index).collect() };
        let by_rank: Vec<Vec<usize>> =
            (0..5).map(|rank| indices(&format!("neighbor_{rank}"))).collect();
        let values = |suffix: &str| -> Vec<Vec<f64>> {
            let columns: Vec<Vec<&Field>> =
                models.iter().map(|model| column(&format!("{model}{suffix}"))).collect();
            (0..rows.len()).map(|row| columns.iter().map(|c| double(c[row])).collect()).collect()
        };
        let choices = shares.iter().map(|share| {
            let arms = indices(&format!("choice_eps{share}"));
            let served = column(&format!("served_eps{share}"));
            let pairs = arms.into_iter().zip(served.into_iter().map(|f| *f == Field::Bool(true)));
            (share.to_string(), pairs.collect())
        });
        Self {
            rows: indices("index"),
            neighbors: (0..rows.len())
                .map(|row| [0, 1, 2, 3, 4].map(|k| by_rank[k][row]))
                .collect(),
            estimates: estimates(&values(""), &values("|total_cost")),
            choices: choices.collect(),
        }
    }
}

fn read_rows(path: &Path) -> Vec<Row> {
    let file = File::open(path).expect("a recorded run");
    let reader = SerializedFileReader::new(file).expect("a parquet file");
    let rows = reader.get_row_iter(None).expect("flat columns");
    rows.collect::<Result<_, _>>().expect("a parquet file that is whole")
}

fn index(field: &Field) -> usize {
    let number = match field {
        Field::Int(number) => i64::from(*number),
        Field::Long(number) => *number,
        _ => -1,
    };
    usize::try_from(number).expect("an index")
}

fn double(field: &Field) -> f64 {
    match field {
        Field::Double(number) => *number,
        _ => f64::NAN,
    }
}
