use super::super::testing::{recipe, table};
use super::*;
use crate::Silent;

fn methods() -> Vec<Method> {
    let names = ["zero-router", "oracle", "retrained/ridge"];
    let mut methods: Vec<Method> =
        names.iter().flat_map(|name| Method::parse(name).unwrap()).collect();
    methods.push(Method::pool("clusters", recipe()));
    for k in [1, 2] {
        let mut knn = Method::parse(&format!("retrained/knn:k={k}")).unwrap().remove(0);
        knn.family = Some("neighbors");
        methods.push(knn);
    }
    methods
}

fn protocol() -> Protocol {
    Protocol { test_models: 0.5, labels: 4, ..Protocol::default() }
}

fn run(threads: usize) -> Comparison {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let seeds: Vec<Seed> = (1..7).map(Seed).collect();
    pool.install(|| compare("test", &table(), &protocol(), &methods(), &seeds, &Silent)).unwrap()
}

#[test]
fn lines_are_paired_and_families_have_a_best() {
    let found = run(2);
    assert_eq!(found.sizes.unseen, 2);
    assert_eq!((found.sizes.training, found.sizes.validation, found.sizes.test), (4, 4, 4));
    let line = |label: &str| found.line(label).unwrap();
    let labels: Vec<&str> = found.shown().iter().map(|line| line.label.as_str()).collect();
    assert_eq!(labels.len(), 5, "{labels:?}");
    let best = found.best("neighbors").unwrap();
    assert!(labels.contains(&best.label.as_str()));
    for family in found.lines.iter().filter(|line| line.family.is_some()) {
        assert!(family.area() <= best.area());
    }
    // The oracle is above all, and above ZeroRouter wherever a prompt makes a difference.
    for line in &found.lines {
        assert!(found.line("oracle").unwrap().area() >= line.area() - 1e-12, "{}", line.label);
        assert_eq!((line.trials.len(), line.profiles[0].len()), (6, PROFILE));
    }
    let test = line("oracle").against(line("zero-router")).unwrap();
    let by_hand: f64 =
        (0..6).map(|at| line("oracle").trials[at].area - line("zero-router").trials[at].area).sum();
    assert!((test.difference.mean - by_hand / 6.0).abs() < 1e-12);
}

/// The profile is the curve: its mean, by the trapezium rule, is nearly the Area.
#[test]
fn profiles_are_the_curves() {
    for line in run(1).lines {
        for (scores, profile) in line.trials.iter().zip(&line.profiles) {
            let ends = f64::midpoint(profile[0], profile[PROFILE - 1]);
            let inner: f64 = profile[1..PROFILE - 1].iter().sum();
            let mean = (ends + inner) / (PROFILE - 1) as f64;
            assert!((mean - scores.area).abs() < 0.01, "{}: {mean}", line.label);
        }
        let nothing = line.profile_against(&line);
        assert!(nothing.iter().all(|at| at.mean == 0.0) && line.profile().len() == PROFILE);
    }
}

#[test]
fn threads_do_not_matter() {
    let (one, three) = (run(1), run(3));
    for (a, b) in one.lines.iter().zip(&three.lines) {
        assert_eq!((&a.trials, &a.profiles), (&b.trials, &b.profiles), "{}", a.label);
    }
}
