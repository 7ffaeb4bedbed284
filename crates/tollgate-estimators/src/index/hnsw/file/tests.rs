use tollgate_core::Queries;

use super::super::super::file::tests::{Temporary, answers, forge};
use super::super::super::file::{LINE, SUMMED, header};
use super::super::tests::{DIM, build, save, vectors};
use super::*;
use crate::index::Index;

/// Large arrays stay in the file, for all that come from it, until one of them grows.
#[test]
fn an_opened_index_is_served_from_its_file() {
    let (file, saved) = (Temporary::new("served"), build(300));
    saved.save_as(&file.0).unwrap();
    let opened = Hnsw::open(&file.0).unwrap();
    assert_eq!(answers(&opened), answers(&saved));
    assert!(save(&opened) == save(&saved), "the bytes differ");

    let places = |index: &Hnsw| {
        let Hnsw { nodes, graph, .. } = index;
        let (base, upper) = (graph.base.values(), graph.upper.values());
        [nodes.vectors.values().as_ptr().cast::<u8>(), base.as_ptr().cast(), upper.as_ptr().cast()]
    };
    let mut grown = opened.clone();
    assert_eq!(places(&grown), places(&opened), "shared");
    assert!(places(&saved.clone()).iter().zip(places(&saved)).all(|(copy, own)| *copy != own));
    let more = vectors(100, 2);
    grown.extend(Queries::new(&more, DIM)).unwrap();
    assert!(places(&grown).iter().zip(places(&opened)).all(|(copy, file)| *copy != file));
    let mut expected = saved.clone();
    expected.extend(Queries::new(&more, DIM)).unwrap();
    assert!(save(&grown) == save(&expected), "the bytes differ");
    assert_eq!(answers(&opened), answers(&saved), "grown from");
}

#[test]
fn files_that_make_no_sense() {
    let good = save(&build(20));
    let refuse = |at: usize, value: u32| {
        Hnsw::load(forge(&good, 8, at, value).as_slice()).unwrap_err().to_string()
    };
    let number = |at: usize, value: u32| refuse(SUMMED + 8 * at, value);
    insta::assert_snapshot!(number(0, 0), @"the index is not valid: `m` must be in 2..=256, got 0");
    insta::assert_snapshot!(number(3, 1 << 30), @"the index is not valid: 1073741824 dimensions");
    insta::assert_snapshot!(number(6, 30), @"the index is not valid: 20 rows of 30 nodes");
    insta::assert_snapshot!(refuse(SUMMED + 8 * 7 + 4, u32::MAX), @"the index is not valid: a size overflows");
    insta::assert_snapshot!(number(7, 1000), @"the index ends within its payload");
    // After the nodes of the rows, on cache lines: vectors, levels, links.
    let rows = header(8);
    let vectors = rows + (20 * 4_usize).next_multiple_of(LINE);
    let levels = vectors + 20 * 4 * LANES;
    let base = levels + LINE;
    insta::assert_snapshot!(refuse(rows, 20), @"the index is not valid: a row of node 20");
    insta::assert_snapshot!(refuse(rows, 1), @"the index is not valid: a node without rows");
    insta::assert_snapshot!(refuse(vectors, f32::NAN.to_bits()), @"the index is not valid: the embedding has a value that is not finite at dimension 0: NaN");
    insta::assert_snapshot!(refuse(vectors + 4 * DIM, 1), @"the index is not valid: a row does not end in zeros");
    insta::assert_snapshot!(refuse(levels, 0x0100_0000), @"the index is not valid: the links are not as many as the levels say");
    insta::assert_snapshot!(refuse(levels, 0x2000_0000), @"the index is not valid: a node of level 32");
    insta::assert_snapshot!(refuse(base, 20), @"the index is not valid: a link leads nowhere");
    insta::assert_snapshot!(refuse(base, 0), @"the index is not valid: a link leads nowhere");
    insta::assert_snapshot!(refuse(base, u32::MAX), @"the index is not valid: a link follows an empty slot");
}
