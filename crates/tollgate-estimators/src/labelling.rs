//! Which prompts to label a new model on: the order in which they tell most.

use tollgate_core::{Purpose, Seed};

/// Every cluster in proportion to its size, its medoid first and the others in any order.
///
/// `nearest` are the cluster of each prompt and how near its center is.
pub(crate) fn by_clusters(nearest: &[(usize, f32)], n_clusters: usize, seed: Seed) -> Vec<usize> {
    let n = nearest.len();
    let mut order: Vec<usize> = (0..n).collect();
    seed.stream(Purpose::Fit, 2).shuffle(&mut order);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_clusters];
    for &row in &order {
        members[nearest[row].0].push(row);
    }
    for rows in &mut members {
        let nearer = |&a: &usize, &b: &usize| {
            nearest[rows[a]].1.total_cmp(&nearest[rows[b]].1).then(rows[b].cmp(&rows[a]))
        };
        if let Some(medoid) = (0..rows.len()).max_by(nearer) {
            rows.swap(0, medoid);
        }
    }
    let mut taken = vec![0_usize; n_clusters];
    (1..=n)
        .map(|step| {
            // The cluster that is most behind its share; the first of equals.
            let behind = |cluster: usize| {
                let share = members[cluster].len() as f64 / n as f64;
                share * step as f64 - taken[cluster] as f64
            };
            let open = (0..n_clusters).filter(|&cluster| taken[cluster] < members[cluster].len());
            let next = open
                .map(|cluster| (behind(cluster), cluster))
                .reduce(|best, next| if next.0 > best.0 { next } else { best })
                .expect("there are as many steps as prompts")
                .1;
            taken[next] += 1;
            members[next][taken[next] - 1]
        })
        .collect()
}

#[cfg(test)]
#[path = "labelling/tests.rs"]
mod tests;
