use tollgate_core::{
    EstimateTable, Label, ModelId, Models, Prior, Prompt, Purpose, Query, Scratch,
};
use tollgate_testkit::estimator_conformance::{self, Growth};
use tollgate_testkit::pool_conformance::{self, Others};

use super::*;

#[test]
fn recipes_conform() {
    for config in
        [LearnedMapConfig::default(), LearnedMapConfig::default().clusters(3).penalty(0.01)]
    {
        estimator_conformance::check(&config.build().unwrap());
    }
}

#[test]
fn snapshots_grow() {
    estimator_conformance::check_growth(&LearnedMap::default(), Growth::ChoicesStay);
}

#[test]
fn pools_conform() {
    for config in
        [LearnedMapConfig::default(), LearnedMapConfig::default().clusters(3).penalty(0.01)]
    {
        pool_conformance::check(&config.build().unwrap(), Others::Stay);
    }
}

#[test]
fn names_and_refusals() {
    let name = |config: LearnedMapConfig| config.build().unwrap().name();
    insta::assert_snapshot!(name(LearnedMapConfig::default()), @"learned-map");
    insta::assert_snapshot!(
        name(LearnedMapConfig::default().clusters(7).labels(50).penalty(0.1)),
        @"learned-map(clusters=7,labels=50,penalty=0.1)"
    );
    let refused = |config: LearnedMapConfig| config.build().unwrap_err().to_string();
    insta::assert_snapshot!(
        refused(LearnedMapConfig::default().clusters(0)),
        @"`clusters` must be >= 1, got 0"
    );
    for got in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let config = LearnedMapConfig::default().penalty(got);
        assert_eq!(refused(config), format!("`penalty` must be finite and > 0, got {got}"));
    }
}

const DIM: usize = 6;

/// Prompts on a circle in the first two dimensions, whose scores jump at angle 0 from what a model
/// is on one half to what it is on the other: models differ along a border where no prompts
/// gather. Answers the history of all models but the last, and labels of that.
fn circle(n: usize, seed: u64) -> (History, Vec<Label<'static>>) {
    const OLD: [[f64; 2]; 6] =
        [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.6], [0.95, 0.3], [0.3, 0.9]];
    const NEW: [f64; 2] = [0.15, 0.85];
    let mut rng = Seed(seed).stream(Purpose::Synthesis, 0);
    let (mut embeddings, mut quality, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..n {
        let angle = std::f64::consts::TAU * rng.uniform();
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        let mut prompt: Vec<f32> = (0..DIM).map(|_| 0.2 * rng.normal() as f32).collect();
        #[expect(clippy::cast_possible_truncation, reason = "embeddings are f32")]
        for (x, more) in prompt.iter_mut().zip([angle.cos() as f32, angle.sin() as f32]) {
            *x += more;
        }
        let half = usize::from(angle < std::f64::consts::PI);
        quality.extend(OLD.map(|model| f64::from(u8::from(rng.uniform() < model[half]))));
        let score = f64::from(u8::from(rng.uniform() < NEW[half]));
        labels.push(Label { prompt: Prompt::Representative(row), quality: score, cost: 0.01 });
        embeddings.extend(prompt);
    }
    let models = Models::new(["a", "b", "c", "d", "e", "f"]).unwrap();
    let cost = vec![0.01; quality.len()];
    labels.truncate(300);
    (History::new(models, DIM, embeddings, quality, cost).unwrap(), labels)
}

/// The squared error of a new model's expected score around the circle.
fn error(recipe: &dyn Fit, history: &History, labels: &[Label<'_>]) -> f64 {
    let estimator = recipe.fit(history, Seed(0)).unwrap();
    let added = estimator.pool().unwrap().add_model(&ModelId::new("new"), Prior::default(), labels);
    let added = added.unwrap();
    let at = added.models().index_of("new").unwrap();
    let mut table = EstimateTable::zeros(1, added.models().len());
    let of = |step: u8| {
        let angle = std::f32::consts::TAU * (f32::from(step) + 0.5) / 100.0;
        let embedding = [angle.cos(), angle.sin(), 0.0, 0.0, 0.0, 0.0];
        let query = Query::new(&embedding);
        table.fill(|out| added.estimate_into(query, &mut Scratch::default(), out)).unwrap();
        (table.row(0).quality[at] - if step < 50 { 0.85 } else { 0.15 }).powi(2)
    };
    (0..100).map(of).sum::<f64>() / 100.0
}

/// What was learned where other models change serves one that nobody has seen.
#[test]
fn the_map_serves_new_models() {
    let (mut trained, mut hard) = (0.0, 0.0);
    for seed in 0..4 {
        let (history, labels) = circle(900, seed);
        let map = LearnedMapConfig::default().clusters(5).build().unwrap();
        let clusters = ClustersConfig::default().clusters(5).build().unwrap();
        trained += error(&map, &history, &labels);
        hard += error(&clusters, &history, &labels);
        let estimator = map.fit(&history, Seed(0)).unwrap();
        let choice = estimator.choice().unwrap();
        assert!(choice.contains("trained with a penalty of"), "{choice}");
    }
    println!("{trained} {hard}");
    assert!(trained < 0.7 * hard, "{trained} with the map, {hard} without");
}

#[test]
fn threads_do_not_matter() {
    let (history, _) = circle(300, 0);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| LearnedMap::default().held_out(&history, Seed(0)).unwrap())
    };
    assert_eq!(on(1), on(3));
}
