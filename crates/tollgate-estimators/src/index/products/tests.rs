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
    #[test]
    fn halves_are_multiplied_alike(
        dim in prop::sample::select(vec![1_usize, 64, 127, 128, 384, 4096]),
        bytes in prop::collection::vec(any::<u8>(), 2 * 4096 / 2),
        factors in prop::collection::vec(-127_i8..=127, 4096),
    ) {
        let n_chunks = dim.div_ceil(128);
        let (rows, _) = bytes.as_chunks::<CHUNK>();
        let rows: Vec<Chunk> = rows[..2 * n_chunks.min(32)].iter().map(|&row| Chunk(row)).collect();
        let query = Halves::new(n_chunks, factors[..dim].iter().copied());
        let expected = |row: usize| -> i64 {
            (0..dim)
                .map(|at| {
                    let byte = rows[row * n_chunks + at / 128].0[at % 64];
                    let code = 2 * i64::from(byte >> (4 * (at / 64 % 2)) & 15) - 15;
                    code * i64::from(factors[at])
                })
                .sum()
        };
        for kernel in Kernel::all() {
            let mut out = [0; 2];
            kernel.half_products(&rows, &query, &mut out);
            prop_assert_eq!(out.map(i64::from), [expected(0), expected(1)]);
        }
    }
}
