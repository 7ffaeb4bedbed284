use tollgate_core::History;

use super::*;
use crate::index::file::tests::{Temporary, answers, clusters, forge, history, save};
use crate::index::file::{SUMMED, header};

fn build(history: &History, family: LshFamily) -> Lsh {
    let recipe = LshConfig::default().family(family).build().unwrap().always();
    recipe.index(history, Seed(4)).unwrap()
}

/// What was chosen is in the file; it grows as the one that was saved does, up to where
/// everything is chosen anew, and beyond.
#[test]
fn a_loaded_index_is_the_one_that_was_saved() {
    for family in [LshFamily::Hyperplanes, LshFamily::CrossPolytope] {
        let (file, mut saved) =
            (Temporary::new("hashed"), build(&history(clusters(1100, 1)), family));
        saved.save_as(&file.0).unwrap();
        let mut opened = Lsh::open(&file.0).unwrap();
        assert_eq!((opened.report(), opened.config()), (saved.report(), saved.config()));
        assert_eq!(answers(&opened), answers(&saved));
        for (n, chosen) in [(1500, 1100), (2200, 2200)] {
            let longer = history(clusters(n, 1));
            let grow = |index: &Lsh| save(index.grow(&longer).unwrap().as_ref());
            let bytes = grow(&saved);
            assert!(bytes == grow(&opened), "the bytes differ");
            [saved, opened] = [(); 2].map(|()| Lsh::load(bytes.as_slice()).unwrap());
            assert_eq!(saved.report().n_rows, chosen);
        }
    }
}

#[test]
fn files_that_make_no_sense() {
    let good = save(&build(&history(clusters(1100, 1)), LshFamily::CrossPolytope));
    let refuse = |at: usize, value: u32| {
        Lsh::load(forge(&good, 16, at, value).as_slice()).unwrap_err().to_string()
    };
    let number = |at: usize, value: u32| refuse(SUMMED + 8 * at, value);
    // The upper half of a number, which has the exponent of an `f64`.
    let upper = |at: usize, value: u32| refuse(SUMMED + 8 * at + 4, value);
    let infinite = 0x7FF0_0000;
    insta::assert_snapshot!(number(0, 2), @"the index is not valid: a hash of family 2");
    insta::assert_snapshot!(upper(1, infinite), @"the index is not valid: `target_recall` must be > 0 and < 1, got NaN");
    insta::assert_snapshot!(number(2, 0), @"the index is not valid: `k` must be in 1..=1024, got 0");
    insta::assert_snapshot!(number(5, 0), @"the index is not valid: 1100 rows of 0 dimensions");
    insta::assert_snapshot!(number(7, 1101), @"the index is not valid: 1100 rows, chosen for 1101");
    insta::assert_snapshot!(number(7, 1000), @"the index is not valid: 1 tables of 2 digits of 16 directions for 1000 rows");
    insta::assert_snapshot!(number(8, 3), @"the index is not valid: 3 tables of 2 digits of 16 directions for 1100 rows");
    insta::assert_snapshot!(number(9, 30), @"the index is not valid: 1 tables of 30 digits of 16 directions for 1100 rows");
    insta::assert_snapshot!(number(10, 1), @"the index is not valid: 1 tables of 2 digits of 1 directions for 1100 rows");
    // Minus one and nearly zero, the lower halves as they were.
    assert!(upper(11, 0xBFF0_0000).starts_with("the index is not valid: a ratio of -1.0"));
    assert!(upper(12, 0).starts_with("the index is not valid: a radius of "));
    insta::assert_snapshot!(upper(14, infinite), @"the index is not valid: a recall of NaN");
    insta::assert_snapshot!(upper(15, infinite), @"the index is not valid: a share of NaN");
    let buckets = header(16) + 1100 * 16 * 4;
    insta::assert_snapshot!(refuse(header(16), f32::NAN.to_bits()), @"the index is not valid: the embedding has a value that is not finite at dimension 0: NaN");
    insta::assert_snapshot!(refuse(buckets, 1 << 24), @"the index is not valid: a row in bucket 16777216 of 1024");
    // As if there were no tables: what follows the rows is then too much.
    insta::assert_snapshot!(number(8, 0), @"the index is not valid: something follows its end");
}
