use super::*;

#[test]
fn the_fixture_has_sixty_topics_and_costs_of_mean_one() {
    let world = World::fixture();
    assert_eq!(world.topics.len(), TOPICS);
    for world in [world, World::drawn(Seed(1))] {
        let mean = world.topics.iter().map(|topic| topic.length).sum::<f64>() / TOPICS as f64;
        assert!((mean - 1.0).abs() < 1e-12);
    }
    assert_ne!(World::drawn(Seed(1)), World::drawn(Seed(2)));
}

/// Over 20,000 draws each mean is within five standard errors of what (1) to (4) say.
#[test]
fn draws_follow_their_world() {
    let world = World::fixture().topics(3..4);
    let mut draws = Draws::default();
    let n = 20_000;
    for query in 0..n {
        world.draw(&mut Seed(1).stream(Purpose::Synthesis, query), 5, &mut draws);
    }
    let topic = &world.topics[0];
    for model in 0..N_MODELS {
        let mean =
            |values: &[f64]| values.iter().skip(model).step_by(N_MODELS).sum::<f64>() / n as f64;
        let chance = world.chance(topic, model);
        let error = (chance * (1.0 - chance) / n as f64).sqrt();
        assert!((mean(&draws.quality) - chance).abs() < 5.0 * error, "model {model}");
        assert!((mean(&draws.expected_quality) - chance).abs() < 5.0 * error, "model {model}");
        // The mean of exp(s n) is exp(s^2 / 2); its relative spread is about s.
        let usd = world.mean_cost(model) * topic.length;
        let (real, expected) =
            (usd * (0.25_f64.powi(2) / 2.0).exp(), usd * (0.0125_f64 / 2.0).exp());
        let tolerance = 5.0 * 0.26 * usd / (n as f64).sqrt();
        assert!((mean(&draws.cost) - real).abs() < tolerance, "model {model}");
        assert!((mean(&draws.expected_cost) - expected).abs() < tolerance, "model {model}");
    }
}

#[test]
fn reshuffled_models_all_take_another_place() {
    let world = World::fixture();
    let shuffled = world.reshuffled(Seed(3));
    let mut places = shuffled.place;
    assert!(places.iter().enumerate().all(|(model, place)| model != *place));
    places.sort_unstable();
    assert_eq!(places, world.place);
}

/// The halves of the run are of their own topics, and a history of both has both.
#[test]
fn populations_follow_each_other() {
    let world = World::fixture();
    let (first, crowd) = (world.topics(0..1), world.crowd());
    let setting = Neighbors {
        worlds: vec![first.clone(), crowd.clone()],
        n: 2_000,
        ..Neighbors::of(&first, Seed(1))
    };
    let instance = setting.instance();
    let mean = |range: std::ops::Range<usize>| {
        let range = range.start * N_MODELS..range.end * N_MODELS;
        instance.cost[range].iter().step_by(N_MODELS).sum::<f64>() / 1_000.0
    };
    let expected = first.topics[0].length / crowd.topics[0].length;
    let got = mean(0..1_000) / mean(1_000..2_000);
    assert!((got / expected - 1.0).abs() < 0.06, "{got} for {expected}");
}

#[test]
fn values_are_stable() {
    let instance = Neighbors { n: 2, history: 1, ..Neighbors::of(&World::fixture(), Seed(1)) };
    let instance = instance.instance();
    let shown: Vec<String> = instance.cost[..3].iter().map(|x| format!("{x:.6e}")).collect();
    insta::assert_snapshot!(shown.join(" "), @"7.184930e-5 1.252920e-4 1.200710e-3");
}
