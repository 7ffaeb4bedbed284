use std::sync::Arc;

use ::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use npyz::WriterBuilder as _;
use tollgate_core::ModelId;

use crate::testing::Folder;
use crate::{DataError, Table};

/// A parquet column and its cells, `None` for NULL.
#[derive(Clone)]
enum Cells {
    Double(Vec<Option<f64>>),
    Float(Vec<Option<f32>>),
    Int32(Vec<Option<i32>>),
    Int64(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Text(Vec<Option<&'static [u8]>>),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Double(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::Int32(cells) => cells.len(),
            Self::Int64(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
        }
    }

    fn write(&self, group: &mut Group<'_>, from: usize, to: usize) {
        match self {
            Self::Double(cells) => write::<DoubleType>(group, &cells[from..to]),
            Self::Float(cells) => write::<FloatType>(group, &cells[from..to]),
            Self::Int32(cells) => write::<Int32Type>(group, &cells[from..to]),
            Self::Int64(cells) => write::<Int64Type>(group, &cells[from..to]),
            Self::Bool(cells) => write::<BoolType>(group, &cells[from..to]),
            Self::Text(cells) => {
                let cells: Vec<_> =
                    cells[from..to].iter().map(|cell| cell.map(ByteArray::from)).collect();
                write::<ByteArrayType>(group, &cells);
            }
        }
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// Writes optional cells as the next column of the group.
fn write<T: DataType>(group: &mut Group<'_>, cells: &[Option<T::T>]) {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.iter().flatten().cloned().collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
}

/// A parquet file with `group` rows in each row group. `schema` has a line a column.
fn parquet(schema: &str, cells: &[Cells], compression: Compression, group: usize) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message table {{ {schema} }}")).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let n_rows = cells.first().map_or(0, Cells::len);
    for from in (0..n_rows).step_by(group) {
        let mut rows = writer.next_row_group().unwrap();
        for column in cells {
            column.write(&mut rows, from, n_rows.min(from + group));
        }
        rows.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// An array of `values` in a shape and an order.
fn npy<T: npyz::AutoSerialize + Copy>(values: &[T], shape: &[u64], order: npyz::Order) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape).order(order);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn ramp(rows: u64) -> Vec<u8> {
    let values: Vec<f32> = (0..2 * rows).map(|at| at as f32).collect();
    npy(&values, &[rows, 2], npyz::Order::C)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

const SCHEMA: &str = "optional int64 index; optional byte_array eval_name (UTF8);
    optional double m.x; optional double m.x|total_cost; optional boolean flag;
    optional int32 a; optional float a|total_cost;";

fn table() -> Vec<Cells> {
    vec![
        Cells::Int64(vec![Some(3), Some(4), Some(5)]),
        Cells::Text(vec![Some(b"math"), None, Some(b"code")]),
        Cells::Double(vec![Some(0.5), Some(f64::NAN), Some(1.0)]),
        Cells::Double(vec![Some(0.25), Some(1.0), None]),
        Cells::Bool(vec![Some(true), None, Some(false)]),
        Cells::Int32(vec![Some(1), Some(0), Some(1)]),
        Cells::Float(vec![Some(0.5), Some(0.125), Some(2.0)]),
    ]
}

#[test]
fn every_codec_and_grouping_reads_the_same() {
    let folder = Folder::new();
    folder.file("embeddings.npy", ramp(3));
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        for group in 1..4 {
            folder.file("queries.parquet", parquet(SCHEMA, &table(), codec, group));
            let table = Table::load(folder.path()).unwrap();
            let names: Vec<&str> = table.models().iter().map(ModelId::as_str).collect();
            assert_eq!(names, ["a", "m.x"]);
            let nan = f64::NAN;
            assert_eq!(bits(table.quality()), bits(&[1.0, 0.5, 0.0, nan, 1.0, nan]));
            assert_eq!(bits(table.cost()), bits(&[0.5, 0.25, 0.125, nan, 2.0, nan]));
            let tasks: Vec<&str> = (0..3).map(|row| table.task(row)).collect();
            assert_eq!(tasks, ["math", "", "code"]);
            assert_eq!(table.embeddings(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        }
    }
}

#[test]
fn whole_numbers_and_flags_are_numbers() {
    let folder = Folder::new();
    folder.file("embeddings.npy", ramp(2));
    let schema = "optional boolean a; optional int64 a|total_cost;
        optional int32 b (INTEGER(8, false)); optional int32 b|total_cost;";
    let cells = [
        Cells::Bool(vec![Some(true), Some(false)]),
        Cells::Int64(vec![Some(2), Some(0)]),
        Cells::Int32(vec![Some(1), None]),
        Cells::Int32(vec![Some(3), Some(4)]),
    ];
    folder.file("queries.parquet", parquet(schema, &cells, Compression::SNAPPY, 9));
    let table = Table::load(folder.path()).unwrap();
    assert_eq!(bits(table.quality()), bits(&[1.0, 1.0, 0.0, f64::NAN]));
    assert_eq!(bits(table.cost()), bits(&[2.0, 3.0, 0.0, f64::NAN]));
    assert_eq!(table.task_names(), [""]);
}

#[test]
fn csv_reads_what_parquet_reads() {
    let folder = Folder::new();
    folder.file("embeddings.npy", ramp(3));
    folder.file(
        "queries.csv",
        "index,prompt,eval_name,m.x,m.x|total_cost,a,a|total_cost\n\
         3,\"one, two\",math,0.5,2.5e-1,1,.5\n4,,,nan,1,0, 0.125\n5,x,code,1,,1,2\n",
    );
    let csv = Table::load(folder.path()).unwrap();
    folder.file("queries.parquet", parquet(SCHEMA, &table(), Compression::SNAPPY, 2));
    let parquet = Table::load(folder.path()).unwrap();
    assert!(parquet.source().ends_with("queries.parquet"), "parquet comes first");
    assert_eq!(bits(csv.quality()), bits(parquet.quality()));
    assert_eq!(bits(csv.cost()), bits(parquet.cost()));
    assert_eq!(csv.task_names(), parquet.task_names());
    assert_eq!(csv.tasks(), parquet.tasks());
}

/// A quarter of 4, 8 and 2 characters; whoever learns from the rows or asks about them is told.
#[test]
fn prompts_keep_their_tokens() {
    let folder = Folder::new();
    folder.file("embeddings.npy", ramp(3));
    let labels = ["abcd,1,1", "abcdefgh,1,1", "ab,1,1"].join("\n");
    folder.file("queries.csv", format!("prompt,a,a|total_cost\n{labels}\n"));
    let table = Table::load(folder.path()).unwrap();
    assert_eq!(table.queries().query(1).input_tokens, Some(2.0));
    let tokens = table.history(&[2, 1]).unwrap().input_tokens().unwrap().to_vec();
    assert_eq!(tokens, [0.5, 2.0]);
    folder.file("queries.csv", "a,a|total_cost\n1,1\n1,1\n1,1\n");
    let bare = Table::load(folder.path()).unwrap();
    assert!(bare.history(&[0]).unwrap().input_tokens().is_none());
    assert_eq!(bare.queries().query(0).input_tokens, None);
}

/// Only a column that holds labels must be there once.
#[test]
fn other_columns_may_repeat() {
    let folder = Folder::new();
    folder.file("embeddings.npy", ramp(1));
    folder.file("queries.csv", "note,a,note,a|total_cost\nx,1,y,2\n");
    assert_eq!(Table::load(folder.path()).unwrap().cost(), [2.0]);
}

#[test]
fn doubles_are_rounded() {
    let folder = Folder::new();
    let queries = folder.file("q.csv", "a,a|total_cost\n1,1\n");
    let array = npy(&[0.1_f64, -1e-60], &[1, 2], npyz::Order::C);
    let table = Table::read(queries, folder.file("e.npy", array)).unwrap();
    assert_eq!(table.embeddings(), [0.1, 0.0], "to the nearest, and zeros are allowed");
}

#[test]
fn refused_tables() {
    let folder = Folder::new();
    let npy = folder.file("e.npy", ramp(2));
    let message = |name: &str, bytes: Vec<u8>| {
        let path = folder.file(name, bytes);
        folder.message(&Table::read(path, &npy).unwrap_err())
    };
    let csv = |text: &str| message("q.csv", text.into());
    insta::assert_snapshot!(
        csv("a,b|total_cost\n1,1\n"), @"`q.csv`: column `b|total_cost` has no twin column `b`");
    insta::assert_snapshot!(
        csv("a,a|total_cost,a\n1,1,1\n"), @"`q.csv`: column `a` is there twice");
    insta::assert_snapshot!(
        csv("a,b\n1,1\n"),
        @"`q.csv` has no models: a model is a column with a `|total_cost` twin");
    insta::assert_snapshot!(csv("a,a|total_cost\n"), @"`q.csv` has no rows");
    insta::assert_snapshot!(
        csv("a,a|total_cost\n1,1\n1,cheap\n"),
        @"`q.csv`, row 1, column `a|total_cost`: expected a number, got `cheap`");
    insta::assert_snapshot!(
        csv("a,a|total_cost\n1,1\n2,1\n"),
        @"`q.csv`, row 1, column `a`: a score must be in [0, 1], got 2");
    insta::assert_snapshot!(
        csv("a,a|total_cost\n1,1\n1\n"),
        @"`q.csv`, row 1: expected 2 cells, got 1");
    insta::assert_snapshot!(
        csv(",|total_cost\n1,1\n1,1\n"),
        @"`q.csv`: the models are refused: a model has an empty name");
    insta::assert_snapshot!(
        message("q.json", Vec::new()), @"`q.json` is neither .parquet nor .csv");
    insta::assert_snapshot!(
        message("q.parquet", b"not parquet at all".to_vec()),
        @"`q.parquet` could not be read as parquet: Parquet error: Invalid Parquet file. Corrupt footer");

    let typed = |kind: &str, cells| {
        let schema = format!("optional double a; optional {kind};");
        let bytes = parquet(&schema, &[Cells::Double(vec![None]), cells], Compression::SNAPPY, 1);
        message("q.parquet", bytes)
    };
    insta::assert_snapshot!(
        typed("byte_array a|total_cost (UTF8)", Cells::Text(vec![Some(b"1")])),
        @"`q.parquet`: column `a|total_cost` must be a number, got BYTE_ARRAY (UTF8)");
    insta::assert_snapshot!(
        typed("int32 a|total_cost (DECIMAL(9, 6))", Cells::Int32(vec![Some(1)])),
        @"`q.parquet`: column `a|total_cost` must be a number, got INT32 (DECIMAL)");
    let labelled = |kind: &str, cells| {
        let schema = format!("optional {kind}; optional double a; optional double a|total_cost;");
        let one = Cells::Double(vec![Some(1.0)]);
        message("q.parquet", parquet(&schema, &[cells, one.clone(), one], Compression::SNAPPY, 1))
    };
    insta::assert_snapshot!(
        labelled("int32 eval_name", Cells::Int32(vec![Some(1)])),
        @"`q.parquet`: column `eval_name` must be text, got INT32");
    insta::assert_snapshot!(
        labelled("byte_array eval_name", Cells::Text(vec![Some(b"a\xff")])),
        @"`q.parquet`, row 0, column `eval_name`: expected UTF-8 text, got `a\u{fffd}`");
    insta::assert_snapshot!(
        message("q.parquet", parquet(SCHEMA, &[], Compression::SNAPPY, 1)),
        @"`q.parquet` has no rows");
}

/// A file that ends in the middle is refused, wherever it was cut.
#[test]
fn damaged_parquet_is_refused() {
    let folder = Folder::new();
    folder.file("embeddings.npy", ramp(3));
    let whole = parquet(SCHEMA, &table(), Compression::SNAPPY, 2);
    for length in [0, 4, 11, whole.len() / 2, whole.len() - 1] {
        folder.file("queries.parquet", &whole[..length]);
        let error = Table::load(folder.path()).unwrap_err();
        assert!(matches!(error, DataError::Unreadable { format: "parquet", .. }), "{error}");
    }
}

#[test]
fn refused_files() {
    let folder = Folder::new();
    let message = |result: Result<Table, DataError>| folder.message(&result.unwrap_err());
    insta::assert_snapshot!(
        message(Table::load(folder.path())),
        @"`.` holds neither queries.parquet nor queries.csv");
    let queries = folder.file("queries.csv", "a,a|total_cost\n1,1\n0,1\n");
    insta::assert_snapshot!(
        message(Table::load(folder.path())), @"`embeddings.npy` does not exist");
    insta::assert_snapshot!(
        message(Table::read(folder.path().join("none.parquet"), "none.npy")),
        @"`none.parquet` does not exist");

    let embeddings = |bytes: Vec<u8>| message(Table::read(&queries, folder.file("e.npy", bytes)));
    let c = npyz::Order::C;
    insta::assert_snapshot!(
        embeddings(ramp(3)), @"`e.npy` has 3 embeddings, its table has 2 rows");
    insta::assert_snapshot!(
        embeddings(npy(&[0.0_f32; 2], &[2], c)),
        @"`e.npy` must have the shape (rows, dimension), dimension > 0, got [2]");
    insta::assert_snapshot!(
        embeddings(npy::<f32>(&[], &[2, 0], c)),
        @"`e.npy` must have the shape (rows, dimension), dimension > 0, got [2, 0]");
    insta::assert_snapshot!(
        embeddings(npy(&[0.0_f32; 4], &[2, 2], npyz::Order::Fortran)),
        @"`e.npy` must be in C order, got Fortran order");
    insta::assert_snapshot!(
        embeddings(npy(&[0_i32; 4], &[2, 2], c)),
        @"`e.npy` must hold float32 or float64, got '<i4'");
    insta::assert_snapshot!(
        embeddings(npy(&[0.0, 1.0, f32::NAN, 0.0], &[2, 2], c)),
        @"`e.npy`, row 1, column 0: an embedding must be finite, got NaN");
    // Finite as a double, and not as what it is rounded to.
    insta::assert_snapshot!(
        embeddings(npy(&[0.0, 1.0, 0.0, 1e300], &[2, 2], c)),
        @"`e.npy`, row 1, column 1: an embedding must be finite, got inf");
    insta::assert_snapshot!(
        embeddings(ramp(2)[..140].to_vec()), @"`e.npy` could not be read as npy: failed to fill whole buffer");
    insta::assert_snapshot!(embeddings(b"no array".to_vec()), @"`e.npy` could not be read as npy: magic not found for NPY file");
}
