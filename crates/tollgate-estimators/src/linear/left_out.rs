//! Models of the history that are left out of it, as if they were new: what a pool chooses its
//! penalties and ranks by.

/// Parts of the models, each left out once.
const PARTS: usize = 6;

/// Models that are left out, and the others.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) left_out: Vec<usize>,
    pub(crate) others: Vec<usize>,
}

/// Every model left out once; no part where there is but one.
pub(crate) fn parts(n_models: usize) -> impl Iterator<Item = Part> {
    let n_parts = if n_models > 1 { PARTS.min(n_models) } else { 0 };
    (0..n_parts).map(move |part| {
        let (left_out, others) = (0..n_models).partition(|model| model % n_parts == part);
        Part { left_out, others }
    })
}

/// The rows of a model's labels, those that it is known by first: half of them, and `labels` at
/// most. `order` is of all rows.
pub(crate) fn known_and_rest(
    order: &[usize],
    has_label: impl Fn(usize) -> bool,
    labels: usize,
) -> [Vec<usize>; 2] {
    let own: Vec<usize> = order.iter().copied().filter(|&row| has_label(row)).collect();
    let (known, rest) = own.split_at(labels.min(own.len() / 2));
    [known.to_vec(), rest.to_vec()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_left_out_once() {
        for n_models in [2, 5, 6, 19] {
            let mut seen = vec![0; n_models];
            for Part { left_out, others } in parts(n_models) {
                assert!(!left_out.is_empty() && !others.is_empty(), "{n_models} models");
                let mut all = [left_out.clone(), others].concat();
                all.sort_unstable();
                assert_eq!(all, (0..n_models).collect::<Vec<_>>());
                for model in left_out {
                    seen[model] += 1;
                }
            }
            assert_eq!(seen, vec![1; n_models]);
        }
        assert_eq!(parts(1).count(), 0, "nobody to learn from");
    }

    #[test]
    fn a_model_is_known_by_half_of_its_labels_at_most() {
        let order = [4, 2, 0, 3, 1];
        let split = |labels| known_and_rest(&order, |row| row != 2, labels);
        assert_eq!(split(1), [vec![4], vec![0, 3, 1]]);
        assert_eq!(split(400), [vec![4, 0], vec![3, 1]]);
        assert_eq!(known_and_rest(&order, |_| false, 9), [vec![], vec![]]);
    }
}
