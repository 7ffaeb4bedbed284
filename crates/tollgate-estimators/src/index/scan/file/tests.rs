use super::*;
use crate::index::Index;
use crate::index::file::tests::{DIM, Temporary, answers, clusters, forge, history, save};
use crate::index::file::{SUMMED, header};

/// Rows stay in the file, for all that come from it; what grows has those of its history.
#[test]
fn an_opened_scan_is_served_from_its_file() {
    for n in [100, 400] {
        let (file, saved) =
            (Temporary::new("scanned"), ExactScan::new(&history(clusters(n, 1))).unwrap());
        saved.save_as(&file.0).unwrap();
        let opened = ExactScan::open(&file.0).unwrap();
        assert_eq!(answers(&opened), answers(&saved));
        assert_eq!(opened.codes.is_some(), saved.codes.is_some());
        assert!(matches!(opened.rows, Rows::File(_)));
        assert_eq!(opened.clone().values().as_ptr(), opened.values().as_ptr(), "shared");
        let longer = history(clusters(2 * n, 1));
        let grown = opened.grown(&longer).unwrap();
        assert_eq!(grown.values().as_ptr(), longer.embeddings().as_ptr(), "the history's");
        assert_eq!(answers(&opened), answers(&saved), "grown from");
    }
}

#[test]
fn files_that_make_no_sense() {
    let good = save(&ExactScan::new(&history(clusters(20, 1))).unwrap());
    let refuse = |at: usize, value: u32| {
        ExactScan::load(forge(&good, 2, at, value).as_slice()).unwrap_err().to_string()
    };
    let number = |at: usize, value: u32| refuse(SUMMED + 8 * at, value);
    let rows = header(2);
    insta::assert_snapshot!(number(0, 0), @"the index is not valid: 20 rows of 0 dimensions");
    insta::assert_snapshot!(number(0, 1 << 30), @"the index is not valid: 1073741824 dimensions");
    insta::assert_snapshot!(number(1, 0), @"the index is not valid: 0 rows of 16 dimensions");
    insta::assert_snapshot!(refuse(SUMMED + 12, 1), @"the index is not valid: 4294967316 rows of 16 dimensions");
    insta::assert_snapshot!(number(1, 21), @"the index ends within its payload");
    insta::assert_snapshot!(number(1, 19), @"the index is not valid: something follows its end");
    insta::assert_snapshot!(refuse(rows, f32::NAN.to_bits()), @"the index is not valid: the embedding has a value that is not finite at dimension 0: NaN");
    let mut nowhere = good.clone();
    nowhere[rows + 8 * DIM..rows + 12 * DIM].fill(0);
    let nowhere = forge(&nowhere, 2, rows + 8 * DIM, 0);
    insta::assert_snapshot!(ExactScan::load(nowhere.as_slice()).unwrap_err(), @"the index is not valid: the embedding is the zero vector");
}
