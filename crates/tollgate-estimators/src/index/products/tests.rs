use proptest::prelude::*;

use super::*;

/// (1) in 64 bits.
fn expected(codes: &[i64], factors: &[i16]) -> i64 {
    codes.iter().zip(factors).map(|(&c, &w)| c * i64::from(w)).sum()
}

fn check(rows: &[Vec<i64>], factors: &[i16]) {
    let n_chunks = factors.len().div_ceil(CHUNK);
    let chunks: Vec<Chunk> = rows
        .iter()
        .flat_map(|row| {
            row.chunks(CHUNK).map(|codes| {
                let mut chunk = Chunk([128; CHUNK]);
                for (byte, code) in chunk.0.iter_mut().zip(codes) {
                    *byte = u8::try_from(code + 128).unwrap();
                }
                chunk
            })
        })
        .collect();
    let query = Factors::new(n_chunks, factors.iter().copied());
    for kernel in Kernel::all() {
        let mut out = vec![-1; rows.len()];
        kernel.products(&chunks, query.planes(), &mut out);
        for (row, &got) in rows.iter().zip(&out) {
            assert_eq!(i64::from(got), expected(row, factors), "{kernel:?}");
        }
        // Backwards, each of them twice.
        let which: Vec<u32> =
            (0..u32::try_from(2 * rows.len()).unwrap()).rev().map(|at| at / 2).collect();
        let mut some = vec![-1; which.len()];
        kernel.products_of(&chunks, &which, query.planes(), &mut some);
        let wanted: Vec<i32> = which.iter().map(|&row| out[row as usize]).collect();
        assert_eq!(some, wanted, "{kernel:?}");
    }
}

/// 1*300 + 2*(-300) + (-127)*32512 = -4129324.
#[test]
fn products_by_hand() {
    assert_eq!(expected(&[1, 2, -127], &[300, -300, 32512]), -4_129_324);
    check(&[vec![1, 2, -127]], &[300, -300, 32512]);
}

/// The largest sums that there can be: 127 * 32512 * 520 and 127 * 4128 * 4096 are just
/// below 2^31, and what is summed on the way is above it.
#[test]
fn the_largest_sums_do_not_overflow() {
    for (dim, factor) in [(520, 32512), (4096, 4128)] {
        for sign in [1, -1] {
            check(&[vec![127; dim], vec![-127; dim]], &vec![sign * factor; dim]);
        }
    }
}

proptest! {
    #[test]
    fn all_forms_give_the_same_integers(
        dim in prop::sample::select(vec![1_usize, 63, 64, 65, 127, 128, 384, 500]),
        rows in prop::collection::vec(prop::collection::vec(-127_i64..=127, 500), 0..9),
        factors in prop::collection::vec(-32512_i16..=32512, 500),
    ) {
        let rows: Vec<_> = rows.iter().map(|row| row[..dim].to_vec()).collect();
        check(&rows, &factors[..dim]);
    }
}

/// 2 * 15 - 15 = 15 and 2 * 0 - 15 = -15: the sum of 15 * 3 and -15 * -4 is 105, and the
/// padding of the codes meets factors of 0.
#[test]
fn half_products_by_hand() {
    let row = Chunk([15; CHUNK]);
    let factors = (0..128).map(|at| [3, -4][usize::from(at >= 64)] * i8::from(at % 64 == 0));
    let query = Halves::new(1, factors);
    for kernel in Kernel::all() {
        let mut out = [0];
        kernel.half_products(&[row], &query, &mut out);
        assert_eq!(out, [105], "{kernel:?}");
    }
}

proptest! {
    /// One query at a time and many at once, fewer and more than a register's worth of both.
    #[test]
    fn halves_are_multiplied_alike(
        dim in prop::sample::select(vec![1_usize, 64, 127, 128, 384, 4096]),
        bytes in prop::collection::vec(any::<u8>(), 4096),
        factors in prop::collection::vec(-127_i8..=127, 4096),
        (n_rows, n_queries) in (1_usize..10, 0_usize..10),
    ) {
        let n_chunks = dim.div_ceil(128);
        let (chunks, _) = bytes.as_chunks::<CHUNK>();
        let chunks = chunks.iter().cycle().take(n_rows * n_chunks);
        let rows: Vec<Chunk> = chunks.map(|&row| Chunk(row)).collect();
        let factors = |query: usize| factors[query..].iter().chain(&factors[..query]).take(dim);
        let queries: Vec<Halves> =
            (0..n_queries).map(|query| Halves::new(n_chunks, factors(query).copied())).collect();
        let expected = |query: usize, row: usize| -> i64 {
            let code = |at: usize| {
                let byte = rows[row * n_chunks + at / 128].0[at % 64];
                2 * i64::from(byte >> (4 * (at / 64 % 2)) & 15) - 15
            };
            factors(query).enumerate().map(|(at, &factor)| code(at) * i64::from(factor)).sum()
        };
        let expected: Vec<i64> = (0..n_queries)
            .flat_map(|query| (0..n_rows).map(move |row| (query, row)))
            .map(|(query, row)| expected(query, row))
            .collect();
        let widened = |out: &[i32]| out.iter().map(|&sum| i64::from(sum)).collect::<Vec<i64>>();
        for kernel in Kernel::all() {
            let mut out = vec![-1; n_queries * n_rows];
            for (query, out) in queries.iter().zip(out.chunks_exact_mut(n_rows)) {
                kernel.half_products(&rows, query, out);
            }
            prop_assert_eq!(&widened(&out), &expected);
            out.fill(-1);
            kernel.half_products_of_many(&rows, &queries.iter().collect::<Vec<_>>(), n_rows, &mut out);
            prop_assert_eq!(&widened(&out), &expected);
        }
    }
}
