use super::*;

/// Two clusters in the plane, three prompts, two models with a gap.
fn part() -> Part {
    Part {
        nearness: Mat::from_fn(3, 2, |row, k| [[0.5, 0.1], [0.2, 0.3], [-0.1, 0.4]][row][k]),
        projected: Mat::from_fn(3, 2, |row, x| [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]][row][x]),
        labels: vec![1.0, 0.0, 0.25, f64::NAN, 0.0, 1.0],
        means: Mat::from_fn(2, 2, |k, model| [[0.9, 0.2], [0.3, 0.7]][k][model]),
    }
}

/// At the origin, with `t = 2`: the first prompt has shares in proportion `e` to `e^0.2`.
#[test]
fn the_loss_by_hand() {
    let part = part();
    let value = Objective::new(&part, Start { sharpness: 2.0 }, 0.5).evaluate(&part.origin());
    let share = |near: [f64; 2]| 1.0 / (1.0 + (2.0 * (near[1] - near[0])).exp());
    let q = |near: [f64; 2], model: usize| {
        let share = share(near);
        share * [0.9, 0.2][model] + (1.0 - share) * [0.3, 0.7][model]
    };
    let loss = |q: f64, y: f64| -y * q.ln() - (1.0 - y) * (1.0 - q).ln();
    let expected = loss(q([0.5, 0.1], 0), 1.0)
        + loss(q([0.5, 0.1], 1), 0.0)
        + loss(q([0.2, 0.3], 0), 0.25)
        + loss(q([-0.1, 0.4], 0), 0.0)
        + loss(q([-0.1, 0.4], 1), 1.0);
    assert!((value.loss - expected / 5.0).abs() < 1e-12, "{} not {}", value.loss, expected / 5.0);
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    let part = part();
    let objective = Objective::new(&part, Start { sharpness: 2.0 }, 0.5);
    let param = [0.3, -0.2, 0.1, -0.4, 0.2, 0.05];
    let Value { gradient, .. } = objective.evaluate(&param);
    for at in 0..param.len() {
        let step = 1e-6;
        let [mut ahead, mut behind] = [param; 2];
        ahead[at] += step;
        behind[at] -= step;
        let slope = objective.evaluate(&ahead).loss - objective.evaluate(&behind).loss;
        let slope = slope / (2.0 * step);
        assert!((gradient[at] - slope).abs() < 1e-8, "{at}: {} not {slope}", gradient[at]);
    }
}

#[test]
fn training_lowers_the_loss() {
    let part = part();
    let objective = Objective::new(&part, Start { sharpness: 2.0 }, 1e-3);
    let before = objective.evaluate(&part.origin()).loss;
    let param = objective.minimize(part.origin()).unwrap();
    let after = objective.evaluate(&param).loss;
    assert!(after < before - 0.05, "from {before} to {after}");
}
