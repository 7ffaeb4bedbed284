//! Things that go wrong in service: the population drifts, a crowd comes, budgets are
//! extreme, the horizon or the costs are not what was said.

use tollgate::core::{Horizon, Seed};

use super::Scale;
use crate::theory::instance::table;
use crate::theory::measure::{Make, draws};
use crate::theory::{
    Absent, Case, Instance, Line, Neighbors, TheoremRegime, World, labels, lineup,
};

fn case(part: &'static str, name: &str, lines: &[Line], scale: &Scale, make: Make) -> Case {
    Case {
        part,
        case: name.to_owned(),
        x: 0.0,
        lines: lines.to_vec(),
        seeds: scale.seeds.clone(),
        make,
        reference: None,
    }
}

fn as_drawn(draw: impl Fn(Seed) -> Instance + Send + Sync + 'static) -> Make {
    draws(draw, |instance, _| Ok(instance))
}

/// The population changes at half time, or is visited by a crowd. The history is of the
/// first population; the policy that each is compared with has the same history of both.
pub fn drift(scale: &Scale) -> (Vec<Case>, Vec<Absent>) {
    let (lines, absent) = lineup(&labels(), scale.n);
    let n = scale.n;
    let mut cases = Vec::new();
    let mut add = |name: &str, worlds: fn(Seed) -> (Vec<World>, World)| {
        let draw = move |knows: bool| {
            move |seed: Seed| {
                let (worlds, first) = worlds(seed);
                let past = if knows { worlds.clone() } else { vec![first.clone()] };
                let setting = Neighbors { worlds, past, ..Neighbors::of(&first, seed) };
                Neighbors { n, history: n, ..setting }.instance()
            }
        };
        let made = case("drift", name, &lines, scale, as_drawn(draw(false)));
        cases.push(Case { reference: Some(as_drawn(draw(true))), ..made });
    };
    add("other topics", |_| {
        let world = World::fixture();
        (vec![world.topics(0..30), world.topics(30..60)], world.topics(0..30))
    });
    add("reshuffled models", |seed| {
        let world = World::fixture();
        (vec![world.clone(), world.reshuffled(seed)], world)
    });
    add("flash crowd", |_| {
        let world = World::fixture();
        let mut worlds = vec![world.clone(); 8];
        worlds[4] = world.crowd();
        (worlds, world)
    });
    (cases, absent)
}

/// Budgets that are no budgets, and queries that are all one.
pub fn extremes(scale: &Scale) -> (Vec<Case>, Vec<Absent>) {
    let (lines, absent) = lineup(&labels(), scale.n);
    let n = scale.n;
    let mut cases = Vec::new();
    let mut add = |name: &str, change: fn(&mut Instance)| {
        let draw = move |seed: Seed| {
            let setting = Neighbors::of(&World::fixture(), seed);
            let mut instance = Neighbors { n, history: n, ..setting }.instance();
            change(&mut instance);
            instance
        };
        cases.push(case("extremes", name, &lines, scale, as_drawn(draw)));
    };
    add("every other model has nothing", |instance| {
        for budget in instance.budgets.iter_mut().step_by(2) {
            *budget = 0.0;
        }
    });
    add("nobody has anything", |instance| instance.budgets.fill(0.0));
    add("less than one query's worth", |instance| {
        for model in 0..instance.models.len() {
            instance.budgets[model] = 0.5 * bids(instance, model).fold(f64::INFINITY, f64::min);
        }
    });
    add("one model has 80 %", |instance| {
        let total: f64 = instance.budgets.iter().sum();
        let others = (instance.budgets.len() - 1) as f64;
        instance.budgets.fill(0.2 * total / others);
        instance.budgets[0] = 0.8 * total;
    });
    add("k = 1", |instance| dearest(instance, 1.0));
    add("k = 2", |instance| dearest(instance, 2.0));
    let identical = move |_: Seed| identical(n);
    cases.push(case("extremes", "identical queries", &lines, scale, as_drawn(identical)));
    (cases, absent)
}

fn bids(instance: &Instance, model: usize) -> impl Iterator<Item = f64> {
    instance.cost.iter().skip(model).step_by(instance.models.len()).copied()
}

/// Every model can pay for `k` of its dearest queries.
fn dearest(instance: &mut Instance, k: f64) {
    for model in 0..instance.models.len() {
        instance.budgets[model] = k * bids(instance, model).fold(0.0, f64::max);
    }
}

/// The first query of generator A, again and again.
fn identical(n: usize) -> Instance {
    let instance = TheoremRegime::of(n).instance();
    let n_models = instance.models.len();
    let repeat = |table: &[f64]| table[..n_models].repeat(n);
    let (quality, cost) = (repeat(&instance.quality), repeat(&instance.cost));
    Instance {
        estimates: table(n_models, &quality, &cost),
        history: table(n_models, &quality, &cost),
        quality: quality.into(),
        cost: cost.into(),
        ..instance
    }
}

/// The number of arrivals is announced wrongly by a factor of two, and corrected after a
/// quarter, or never. Compared with the same policy that was told the truth.
pub fn horizon(scale: &Scale) -> (Vec<Case>, Vec<Absent>) {
    // PORT can't do without a number, and learns from a share of whatever it is told.
    let (lines, absent) = lineup(&labels(), scale.n);
    let n = scale.n;
    let mut cases = Vec::new();
    let half = Horizon::Arrivals(n as u64 / 2);
    let double = Horizon::Arrivals(n as u64 * 2);
    for (name, wrong, told) in [
        ("half, never told", half, false),
        ("twice, never told", double, false),
        ("half, told after a quarter", half, true),
        ("twice, told after a quarter", double, true),
    ] {
        let draw = move |wrong: Option<Horizon>| {
            move |seed: Seed| {
                let setting = Neighbors::of(&World::fixture(), seed);
                let mut instance = Neighbors { n, history: n, ..setting }.instance();
                instance.announced = wrong;
                let truth = (n / 4, Horizon::Arrivals(n as u64));
                instance.told = (told && wrong.is_some()).then_some(truth);
                instance
            }
        };
        let made = case("horizon", name, &lines, scale, as_drawn(draw(Some(wrong))));
        cases.push(Case { reference: Some(as_drawn(draw(None))), ..made });
    }
    (cases, absent)
}

/// Every cost is estimated at four fifths of what it was, and at five quarters. Compared
/// with the same policy on estimates that are right.
pub fn costs(scale: &Scale) -> (Vec<Case>, Vec<Absent>) {
    let (lines, absent) = lineup(&labels(), scale.n);
    let n = scale.n;
    let mut cases = Vec::new();
    for (name, factor) in [("underestimated by 20 %", 0.8), ("overestimated by 25 %", 1.25)] {
        let draw = move |factor: f64| {
            move |seed: Seed| {
                let setting = Neighbors::of(&World::fixture(), seed);
                Neighbors { n, history: n, ..setting }.instance().misjudged(factor)
            }
        };
        let made = case("costs", name, &lines, scale, as_drawn(draw(factor)));
        cases.push(Case { reference: Some(as_drawn(draw(1.0))), ..made });
    }
    (cases, absent)
}
