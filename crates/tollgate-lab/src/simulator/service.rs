//! Who answers: slots, speeds, and what happens when all slots are taken.

use serde::{Deserialize, Serialize};
use tollgate::core::{ParamError, Purpose, Seed};

/// How fast a model answers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Speed {
    /// Seconds until the first token, `>= 0`.
    pub first_token: f64,
    /// Tokens a second from then on, `> 0`.
    pub tokens_per_second: f64,
}

impl Speed {
    /// Speeds of the kind that hosted models have, drawn from a seed: the first token after 0.2
    /// to 1 s, then 20 to 120 tokens a second, both log-uniform. Model `i` has the same speed
    /// however many there are.
    pub fn drawn(n_models: usize, seed: Seed) -> Vec<Self> {
        let speed = |model: usize| {
            let mut rng = seed.stream(Purpose::Service, model as u64);
            let mut between = |from: f64, to: f64| from * (to / from).powf(rng.uniform());
            Self { first_token: between(0.2, 1.0), tokens_per_second: between(20.0, 120.0) }
        };
        (0..n_models).map(speed).collect()
    }
}

/// What happens to a query whose model has no free slot.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It waits for its model, first come first served, if fewer than `limit` do.
    Queue {
        /// How many may wait for each model.
        limit: u32,
    },
    /// It is turned away, and the next model of the ranking is tried.
    Reject,
}

/// Who answers. Unchecked until [`build`](Self::build).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServiceConfig {
    /// The speed of each model.
    pub speeds: Vec<Speed>,
    /// How many answers each model gives at a time, `>= 1`.
    pub slots: Vec<u32>,
    /// What happens when all slots are taken.
    pub overflow: Overflow,
}

impl ServiceConfig {
    /// Checks the knobs.
    ///
    /// # Errors
    /// [`ParamError`] names the first knob out of range.
    pub fn build(self) -> Result<Service, ParamError> {
        let Self { speeds, slots, overflow } = self;
        if slots.len() != speeds.len() {
            let (field, rule) = ("slots", "as many as speeds");
            return Err(ParamError { field, rule, got: slots.len() as f64 });
        }
        for Speed { first_token, tokens_per_second } in &speeds {
            if !(*first_token >= 0.0 && first_token.is_finite()) {
                let (field, rule) = ("first_token", "finite and >= 0");
                return Err(ParamError { field, rule, got: *first_token });
            }
            if !(*tokens_per_second > 0.0 && tokens_per_second.is_finite()) {
                let (field, rule) = ("tokens_per_second", "finite and > 0");
                return Err(ParamError { field, rule, got: *tokens_per_second });
            }
        }
        if slots.contains(&0) {
            return Err(ParamError { field: "slots", rule: ">= 1", got: 0.0 });
        }
        Ok(Service { speeds, slots, overflow })
    }
}

/// Who answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    speeds: Vec<Speed>,
    slots: Vec<u32>,
    overflow: Overflow,
}

impl Service {
    /// How many models there are.
    pub fn n_models(&self) -> usize {
        self.slots.len()
    }

    /// How many answers a model gives at a time.
    pub fn slots(&self, model: usize) -> u32 {
        self.slots[model]
    }

    /// How many queries may wait for a model.
    pub fn queue(&self) -> u32 {
        match self.overflow {
            Overflow::Queue { limit } => limit,
            Overflow::Reject => 0,
        }
    }

    /// How many queries a model takes in: slots and queue.
    pub fn places(&self, model: usize) -> u32 {
        self.slots[model].saturating_add(self.queue())
    }

    /// Seconds that an answer of so many tokens takes in its slot: equation (1) of the module.
    pub fn seconds(&self, model: usize, tokens: f64) -> f64 {
        let Speed { first_token, tokens_per_second } = self.speeds[model];
        first_token + tokens / tokens_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ServiceConfig {
        let speed = Speed { first_token: 0.5, tokens_per_second: 50.0 };
        ServiceConfig {
            speeds: vec![speed; 2],
            slots: vec![1, 4],
            overflow: Overflow::Queue { limit: 3 },
        }
    }

    #[test]
    fn an_answer_takes_its_time() {
        let service = config().build().unwrap();
        assert!((service.seconds(0, 100.0) - 2.5).abs() < 1e-12);
        assert_eq!((service.places(0), service.places(1)), (4, 7));
        let turning_away = ServiceConfig { overflow: Overflow::Reject, ..config() };
        assert_eq!(turning_away.build().unwrap().places(1), 4);
    }

    #[test]
    fn drawn_speeds_are_in_range_and_stay_with_their_models() {
        let many = Speed::drawn(200, Seed(1));
        assert_eq!(Speed::drawn(3, Seed(1)), many[..3]);
        assert_ne!(Speed::drawn(3, Seed(2)), many[..3]);
        let fits = |speed: &Speed| {
            (0.2..=1.0).contains(&speed.first_token)
                && (20.0..=120.0).contains(&speed.tokens_per_second)
        };
        assert!(many.iter().all(fits));
        // Half are below the middle on a log scale, sqrt(0.2): four standard errors of 200.
        let slow = many.iter().filter(|speed| speed.first_token > 0.2_f64.sqrt()).count();
        assert!(slow.abs_diff(100) < 29, "{slow}");
    }

    #[test]
    fn knobs_out_of_range_are_refused() {
        let refused = |change: &dyn Fn(&mut ServiceConfig)| {
            let mut config = config();
            change(&mut config);
            config.build().unwrap_err().to_string()
        };
        insta::assert_snapshot!(refused(&|c| c.slots[1] = 0), @"`slots` must be >= 1, got 0");
        insta::assert_snapshot!(refused(&|c| c.slots.push(1)), @"`slots` must be as many as speeds, got 3");
        insta::assert_snapshot!(refused(&|c| c.speeds[0].first_token = -0.5), @"`first_token` must be finite and >= 0, got -0.5");
        insta::assert_snapshot!(refused(&|c| c.speeds[1].tokens_per_second = f64::NAN), @"`tokens_per_second` must be finite and > 0, got NaN");
    }
}
