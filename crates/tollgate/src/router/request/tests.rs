use tollgate_core::{
    EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Query, Scratch, Seed,
};
use tollgate_estimators::KnnConfig;
use tollgate_policies::{Greedy, GreedyBy, ResolveConfig};

use super::super::{Budget, Router};
use super::*;
use crate::presets;

const NEAR: [f32; 2] = [1.0, 0.0];

fn names(models: &[&str]) -> Models {
    Models::new(models).unwrap()
}

/// Two prompts, two models: `big` is right on both, `small` on the first alone, and there by
/// three quarters.
fn history() -> History {
    let (quality, cost) = (vec![1.0, 0.75, 1.0, 0.0], vec![0.04, 0.01, 0.04, 0.01]);
    History::new(names(&["small", "big"]), 2, vec![1.0, 0.0, 0.0, 1.0], quality, cost).unwrap()
}

/// A router by the nearest prompt to which a second is worth so much quality.
fn router(per_second: f64) -> Router {
    let config = ResolveConfig { per_second, ..ResolveConfig::default() };
    let builder = Router::builder()
        .history(history())
        .estimator(KnnConfig::default().k(1).build().unwrap())
        .policy(presets::tollgate_with(config, presets::default_solver()).unwrap());
    builder.budget(Budget::pooled(10.0).horizon(10)).build().unwrap()
}

fn model(router: &Router, request: &Request<'_>) -> String {
    router.route(request).unwrap().model().unwrap().to_string()
}

/// `big` is better by a quarter. At a tenth a second, 10 s are worth more than that.
#[test]
fn a_price_on_time_changes_a_decision() {
    let models = names(&["big", "small"]);
    let slow = Request::new(&NEAR).latency(&models, &[11.0, 1.0]);
    assert_eq!(model(&router(0.1), &slow), "small");
    // Nobody pays, nobody measures, or both are as slow.
    assert_eq!(model(&router(0.0), &slow), "big");
    assert_eq!(model(&router(0.1), &Request::new(&NEAR)), "big");
    assert_eq!(model(&router(0.1), &Request::new(&NEAR).latency(&models, &[11.0; 2])), "big");
    // The explanation is by the same seconds.
    let router = router(0.1);
    let why = router.explain(&slow, &router.route(&slow).unwrap()).unwrap().to_string();
    assert!(why.contains("expected latency, s = 1\n"), "{why}");
}

/// Measured of `big` and a model that has gone, 2 and 6 s, in another order: `small`, which
/// nobody has measured, is expected to take the mean.
#[test]
fn seconds_find_their_models() {
    let of = names(&["gone", "big"]);
    let request = Request::new(&NEAR).latency(&of, &[2.0, 6.0]);
    let (here, mut buffer) = (names(&["small", "big"]), vec![9.0; 5]);
    assert_eq!(request.seconds(&here, &mut buffer), Some(&[2.0, 4.0][..]));
    assert_eq!(request.seconds(&of, &mut buffer), Some(&[2.0, 6.0][..]), "as they are");
    assert_eq!(Request::new(&NEAR).seconds(&here, &mut buffer), None);
}

/// Costs as many USD as the prompt has tokens.
#[derive(Clone, Debug)]
struct ByTheToken(Models);

impl Fit for ByTheToken {
    fn name(&self) -> String {
        "by the token".to_owned()
    }

    fn fit(&self, _: &History, _: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.clone()))
    }

    fn held_out(&self, history: &History, _: Seed) -> Result<EstimateTable, FitError> {
        Ok(EstimateTable::zeros(history.len(), self.0.len()))
    }
}

impl Estimator for ByTheToken {
    fn models(&self) -> &Models {
        &self.0
    }

    fn dim(&self) -> usize {
        2
    }

    fn grow(&self, _: &History) -> Result<Box<dyn Estimator>, FitError> {
        Ok(Box::new(self.clone()))
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        _: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        out.quality.fill(1.0);
        out.quality_se.fill(0.0);
        out.cost.fill(query.input_tokens.unwrap_or(0.5));
        out.cost_se.fill(0.0);
        Ok(())
    }
}

#[test]
fn estimators_hear_of_the_tokens() {
    let builder = Router::builder().history(history()).policy(Greedy::new(GreedyBy::Quality));
    let builder = builder.estimator(ByTheToken(names(&["small", "big"])));
    let router = builder.budget(Budget::pooled(100.0)).build().unwrap();
    let held = |request: Request<'_>| {
        let routed = router.route(&request).unwrap();
        routed.reservation.unwrap().estimate()
    };
    assert!((held(Request::new(&NEAR).input_tokens(7.0)) - 7.0).abs() < 1e-12);
    assert!((held(Request::new(&NEAR)) - 0.5).abs() < 1e-12);
}

#[test]
fn refusals() {
    let (router, models) = (router(0.1), names(&["big", "small"]));
    let message = |request: Request<'_>| router.route(&request).unwrap_err().to_string();
    let request = Request::new(&NEAR);
    insta::assert_snapshot!(message(request.input_tokens(-1.0)), @"tokens of the prompt must be finite and >= 0, got -1");
    insta::assert_snapshot!(message(request.input_tokens(f64::NAN)), @"tokens of the prompt must be finite and >= 0, got NaN");
    insta::assert_snapshot!(message(request.latency(&models, &[1.0])), @"1 latencies for 2 models");
    insta::assert_snapshot!(message(request.latency(&models, &[1.0, -2.0])), @"latency of model `small` must be finite and >= 0 s, got -2");
    insta::assert_snapshot!(message(request.latency(&models, &[f64::INFINITY, 1.0])), @"latency of model `big` must be finite and >= 0 s, got inf");
}
