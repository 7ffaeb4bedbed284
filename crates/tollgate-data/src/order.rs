//! Arrival orders: the same rows, in another order.

use tollgate_core::{Purpose, Seed};

use crate::DataError;

/// The rows of `stream` by ascending key; equal keys keep their order, and `-0.0`
/// comes before `0.0`.
///
/// `keys[p]` belongs to `stream[p]`; infinities are allowed.
///
/// # Errors
/// [`DataError::Keys`] where there is not one key an arrival, [`DataError::Key`] for
/// the first that is NaN.
pub fn by_key(stream: &[usize], keys: &[f64]) -> Result<Vec<usize>, DataError> {
    if keys.len() != stream.len() {
        return Err(DataError::Keys { expected: stream.len(), got: keys.len() });
    }
    if let Some(position) = keys.iter().position(|key| key.is_nan()) {
        return Err(DataError::Key { position, row: stream[position] });
    }
    let mut positions: Vec<usize> = (0..stream.len()).collect();
    positions.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    Ok(positions.into_iter().map(|position| stream[position]).collect())
}

/// The rows of `stream` in a uniformly random order.
pub fn shuffled(stream: &[usize], seed: Seed) -> Vec<usize> {
    let mut rows = stream.to_vec();
    seed.stream(Purpose::Order, 0).shuffle(&mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_keys_keep_their_order() {
        let order = by_key(&[7, 3, 9, 1], &[2.0, f64::NEG_INFINITY, 2.0, 1.0]).unwrap();
        assert_eq!(order, [3, 1, 7, 9]);
        assert_eq!(by_key(&[4, 5], &[0.0, -0.0]).unwrap(), [5, 4]);
        assert!(by_key(&[], &[]).unwrap().is_empty());
    }

    #[test]
    fn refusals() {
        let message = |keys: &[f64]| by_key(&[7, 3], keys).unwrap_err().to_string();
        insta::assert_snapshot!(message(&[1.0]), @"there are 1 keys for 2 arrivals");
        insta::assert_snapshot!(
            message(&[1.0, f64::NAN]), @"the key of arrival 1, row 3, is NaN");
    }

    #[test]
    fn a_shuffle_follows_its_seed() {
        let rows: Vec<usize> = (0..100).collect();
        assert_eq!(shuffled(&rows, Seed(1)), shuffled(&rows, Seed(1)));
        assert_ne!(shuffled(&rows, Seed(1)), shuffled(&rows, Seed(2)));
        assert!(shuffled(&[], Seed(1)).is_empty());
    }

    proptest! {
        #[test]
        fn every_order_is_a_permutation(keys in prop::collection::vec(-9_i32..9, 0..40)) {
            let stream: Vec<usize> = (0..keys.len()).map(|p| 1000 - p).collect();
            let floats: Vec<f64> = keys.iter().map(|&key| f64::from(key)).collect();
            let ordered = by_key(&stream, &floats).unwrap();
            let key = |row: usize| (keys[1000 - row], 1000 - row);
            prop_assert!(ordered.is_sorted_by_key(|&row| key(row)), "by key, then by position");
            for mut order in [ordered, shuffled(&stream, Seed(3))] {
                order.sort_by(|a, b| b.cmp(a));
                prop_assert_eq!(&order, &stream);
            }
        }
    }
}
