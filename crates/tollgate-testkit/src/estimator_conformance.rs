//! What every estimator promises, whatever it learns.
//!
//! A test of a recipe is one line, `check(&recipe)`; a failure names the recipe and the
//! promise.

use tollgate_core::{
    EstimateError, EstimateTable, Estimates, EstimatesMut, Estimator, Fit, FitError, History,
    Models, Purpose, Queries, Query, Scratch, Seed,
};

pub(crate) const DIM: usize = 12;
pub(crate) const SEED: Seed = Seed(11);
/// Sorted.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Runs the whole suite.
///
/// # Panics
/// When the recipe breaks a promise.
pub fn check(recipe: &dyn Fit) {
    for case in cases() {
        let context = format!("{} on {}", recipe.name(), case.name);
        let estimator = fit(recipe, &case.history);
        assert_eq!(estimator.models(), case.history.models(), "models of {context}");
        assert_eq!(estimator.dim(), DIM, "dimension of {context}");
        let estimates = overwrites_everything(estimator.as_ref(), &context);
        is_sane(estimates.view(), &context);
        let held_out = held_out(recipe, &case.history);
        let shape = (held_out.n_queries(), held_out.n_models());
        assert_eq!(shape, (case.history.len(), NAMES.len()), "shape held out of {context}");
        is_sane(held_out.view(), &format!("{context}, held out"));

        same_bits(
            estimates.view(),
            overwrites_everything(fit(recipe, &case.history).as_ref(), &context).view(),
            &format!("{context} is fitted again"),
        );
        same_bits(
            held_out.view(),
            self::held_out(recipe, &case.history).view(),
            &format!("{context} is held out again"),
        );
        relabels(recipe, &case.history, &estimates, &held_out, &context);
        refuses(estimator.as_ref(), &context);
    }
    refuses_to_fit(recipe);
}

/// What a grown snapshot answers, beyond what is promised by all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Growth {
    /// Bit for bit what a fit of the longer history does: nothing was chosen on the shorter.
    AsFitted,
    /// What comes of the choices that were made on the shorter history.
    ChoicesStay,
}

/// Grows snapshots by more prompts: they know of them, always the same, while the old
/// ones answer as before, to other threads too, and refuse what is no longer history.
///
/// # Panics
/// When the recipe breaks a promise.
pub fn check_growth(recipe: &dyn Fit, growth: Growth) {
    for case in cases() {
        let context = format!("{} on {}, grown", recipe.name(), case.name);
        let history = &case.history;
        let more = table(31, |row, model| row % 7 != model);
        let longer = history
            .append(&more.embeddings, more.quality, more.cost)
            .and_then(|longer| {
                let tokens = (0..longer.len()).map(tokens).collect();
                longer.with_input_tokens(tokens)
            })
            .expect("the table is made to be valid");
        let old = fit(recipe, history);
        let before = overwrites_everything(old.as_ref(), &context);
        let grown = grow_while_read(old.as_ref(), &longer, &before, &context);
        let after = overwrites_everything(old.as_ref(), &context);
        same_bits(before.view(), after.view(), &format!("the old snapshot of {context}"));
        assert_eq!((grown.models(), grown.dim()), (history.models(), DIM), "shape of {context}");
        let estimates = overwrites_everything(grown.as_ref(), &context);
        is_sane(estimates.view(), &context);
        let again = old.grow(&longer).expect("a longer history is learned from");
        let again = overwrites_everything(again.as_ref(), &context);
        same_bits(estimates.view(), again.view(), &format!("{context} again"));
        if growth == Growth::AsFitted {
            let fitted = overwrites_everything(fit(recipe, &longer).as_ref(), &context);
            same_bits(estimates.view(), fitted.view(), &format!("{context} or fitted"));
        }
        refuses_to_grow(grown.as_ref(), history, &context);
    }
}

/// Grows a snapshot while two threads ask it.
fn grow_while_read(
    old: &dyn Estimator,
    longer: &History,
    before: &EstimateTable,
    context: &str,
) -> Box<dyn Estimator> {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let now = overwrites_everything(old, context);
                same_bits(before.view(), now.view(), &format!("a reader beside {context}"));
            });
        }
        old.grow(longer).expect("a longer history is learned from")
    })
}

/// A shorter history, one of another dimension, and one of other models.
fn refuses_to_grow(grown: &dyn Estimator, shorter: &History, context: &str) {
    let longest = || table(200, |_, _| true);
    let others = longest().history(&["x", "y", "z"]);
    let Table { mut embeddings, quality, cost } = longest();
    embeddings.truncate(quality.len() / NAMES.len() * (DIM - 1));
    let models = Models::new(NAMES).expect("the names differ");
    let narrow = History::new(models, DIM - 1, embeddings, quality, cost);
    let narrow = narrow.expect("the table is made to be valid");
    for history in [shorter, &narrow, &others] {
        let error = grown.grow(history).map(drop);
        assert!(matches!(error, Err(FitError::Grown { .. })), "{context}, refuses: {error:?}");
    }
}

struct Case {
    name: &'static str,
    history: History,
}

fn cases() -> Vec<Case> {
    let full = table(70, |_, _| true);
    let gaps = table(70, |row, model| !(row + model).is_multiple_of(model + 2));
    // Model `b` is known from one prompt, model `c` from all but one.
    let sparse = table(20, |row, model| match model {
        1 => row == 3,
        2 => row != 5,
        _ => true,
    });
    let mut copies = table(30, |_, _| true);
    for row in 0..30 {
        let original = row / 10 * 10 * DIM;
        copies.embeddings.copy_within(original..original + DIM, row * DIM);
    }
    let mut constant = table(25, |_, _| true);
    constant.quality.fill(1.0);
    constant.cost.fill(0.002);
    let mut free = table(25, |_, _| true);
    free.cost.fill(0.0);
    let mut scaled = table(40, |_, _| true);
    for (row, embedding) in scaled.embeddings.chunks_exact_mut(DIM).enumerate() {
        let scale = [1e-30_f32, 1.0, 1e30][row % 3];
        for x in embedding {
            *x *= scale;
        }
    }
    [
        ("a full history", full),
        ("a history with gaps", gaps),
        ("a history with single labels", sparse),
        ("a history of copies", copies),
        ("a history of equal labels", constant),
        ("a history of free models", free),
        ("a history of vectors of all lengths", scaled),
        ("three prompts", table(3, |_, _| true)),
        ("one prompt", table(1, |_, _| true)),
    ]
    .into_iter()
    .map(|(name, table)| Case { name, history: table.history(&NAMES) })
    .collect()
}

pub(crate) struct Table {
    pub(crate) embeddings: Vec<f32>,
    pub(crate) quality: Vec<f64>,
    pub(crate) cost: Vec<f64>,
}

impl Table {
    pub(crate) fn history(self, names: &[&str]) -> History {
        let models = Models::new(names).expect("the names differ");
        let tokens = (0..self.quality.len() / names.len()).map(tokens).collect();
        History::new(models, DIM, self.embeddings, self.quality, self.cost)
            .and_then(|history| history.with_input_tokens(tokens))
            .expect("the table is made to be valid")
    }
}

/// How many tokens prompt number `row` has.
pub(crate) fn tokens(row: usize) -> f64 {
    [40.0, 10.0, 25.0, 0.0][row % 4]
}

/// Random prompts, labelled where `labelled(row, model)` says so.
pub(crate) fn table(n: usize, labelled: impl Fn(usize, usize) -> bool) -> Table {
    let mut rng = SEED.stream(Purpose::Synthesis, n as u64);
    let mut table = Table { embeddings: Vec::new(), quality: Vec::new(), cost: Vec::new() };
    for row in 0..n {
        #[expect(clippy::cast_possible_truncation, reason = "any f32 will do")]
        let embedding: Vec<f32> = (0..DIM).map(|_| rng.normal() as f32).collect();
        for (model, &sign) in embedding.iter().take(NAMES.len()).enumerate() {
            let tilt = if sign > 0.0 { 0.8 } else { 0.3 };
            let quality = f64::from(rng.uniform() < tilt);
            let cost = 10_f64.powi(-2 - i32::try_from(model).expect("few")) * (0.5 + rng.uniform());
            let label = |value| if labelled(row, model) { value } else { f64::NAN };
            table.quality.push(label(quality));
            table.cost.push(label(cost));
        }
        table.embeddings.extend(embedding);
    }
    table
}

/// Forty prompts, the first ten of them twice.
fn queries() -> Vec<f32> {
    let mut embeddings = table(41, |_, _| true).embeddings;
    embeddings.truncate(40 * DIM);
    embeddings.extend_from_within(..10 * DIM);
    embeddings
}

pub(crate) fn fit(recipe: &dyn Fit, history: &History) -> Box<dyn Estimator> {
    recipe.fit(history, SEED).expect("a valid history is learned from")
}

fn held_out(recipe: &dyn Fit, history: &History) -> EstimateTable {
    recipe.held_out(history, SEED).expect("a valid history is learned from")
}

/// One by one into NaN, and again as one batch with a scratch that has been used: equal
/// bits, so nothing is left over from what was there.
pub(crate) fn overwrites_everything(estimator: &dyn Estimator, context: &str) -> EstimateTable {
    let embeddings = queries();
    let counts: Vec<f64> = (0..embeddings.len() / DIM).map(tokens).collect();
    let queries = Queries::new(&embeddings, DIM).input_tokens(Some(&counts));
    let n_models = estimator.models().len();
    let mut scratch = Scratch::default();
    let mut single = EstimateTable::zeros(queries.len(), n_models);
    single.fill(|mut out| {
        poison(&mut out);
        for index in 0..queries.len() {
            let row = out.rows(n_models, index, index + 1);
            estimator
                .estimate_into(queries.query(index), &mut scratch, row)
                .expect("a valid query is estimated");
        }
    });
    let mut batch = EstimateTable::zeros(queries.len(), n_models);
    batch.fill(|mut out| {
        poison(&mut out);
        estimator
            .estimate_batch(queries, &mut scratch, out)
            .expect("a batch of valid queries is estimated");
    });
    same_bits(single.view(), batch.view(), &format!("{context}, one by one and as a batch"));
    EstimateTable::zeros(0, n_models)
        .fill(|out| {
            let none = Queries::new(&[], DIM);
            estimator.estimate_batch(none, &mut scratch, out)
        })
        .expect("an empty batch is estimated");
    single
}

fn poison(out: &mut EstimatesMut<'_>) {
    for column in [&mut *out.quality, out.quality_se, out.cost, out.cost_se] {
        column.fill(f64::NAN);
    }
}

pub(crate) fn columns(estimates: Estimates<'_>) -> [(&'static str, &[f64]); 4] {
    [
        ("quality", estimates.quality),
        ("quality_se", estimates.quality_se),
        ("cost", estimates.cost),
        ("cost_se", estimates.cost_se),
    ]
}

pub(crate) fn is_sane(estimates: Estimates<'_>, context: &str) {
    for (name, column) in columns(estimates) {
        for (at, &value) in column.iter().enumerate() {
            let valid = value >= 0.0 && value.is_finite();
            assert!(valid, "{name} of {context} is {value} in cell {at}");
        }
    }
    let highest = estimates.quality.iter().copied().fold(0.0, f64::max);
    assert!(highest <= 1.0 + 1e-9, "a quality of {context} is {highest}");
}

pub(crate) fn same_bits(a: Estimates<'_>, b: Estimates<'_>, context: &str) {
    for ((name, a), (_, b)) in columns(a).into_iter().zip(columns(b)) {
        for (at, (a, b)) in a.iter().zip(b).enumerate() {
            let equal = a.to_bits() == b.to_bits();
            assert!(equal, "{name} of {context} is {a} and then {b} in cell {at}");
        }
    }
}

/// Gives the models names that sort in the reverse order, with the columns to match: the
/// answers are the same, reversed. Sums over models may be taken in another order, hence
/// a tolerance of some rounding errors.
fn relabels(
    recipe: &dyn Fit,
    history: &History,
    estimates: &EstimateTable,
    held_out: &EstimateTable,
    context: &str,
) {
    let reversed = |column: &[f64]| -> Vec<f64> {
        column.chunks_exact(NAMES.len()).flat_map(|row| row.iter().rev()).copied().collect()
    };
    let renamed = Table {
        embeddings: history.embeddings().to_vec(),
        quality: reversed(history.quality()),
        cost: reversed(history.cost()),
    }
    .history(&["x", "y", "z"]);
    let context = format!("{context}, relabelled");
    let again = overwrites_everything(fit(recipe, &renamed).as_ref(), &context);
    let held_out_again = self::held_out(recipe, &renamed);
    for (before, after) in [(estimates, &again), (held_out, &held_out_again)] {
        for ((name, before), (_, after)) in
            columns(before.view()).into_iter().zip(columns(after.view()))
        {
            let peak = before.iter().copied().fold(0.0, f64::max);
            for (at, (before, after)) in reversed(before).iter().zip(after).enumerate() {
                let close = (before - after).abs() <= 1e-9 * peak;
                assert!(close, "{name} of {context} goes from {before} to {after} in cell {at}");
            }
        }
    }
}

fn refuses(estimator: &dyn Estimator, context: &str) {
    let attempt = |embedding: &[f32]| -> [EstimateError; 2] {
        let dim = embedding.len();
        let single = EstimateTable::zeros(1, estimator.models().len()).fill(|out| {
            estimator.estimate_into(Query::new(embedding), &mut Scratch::default(), out)
        });
        // In a batch, behind a query that is fine where the dimension allows one.
        let mut embeddings = if dim == DIM { vec![1.0; DIM] } else { Vec::new() };
        embeddings.extend_from_slice(embedding);
        let queries = Queries::new(&embeddings, dim);
        let batch = EstimateTable::zeros(queries.len(), estimator.models().len())
            .fill(|out| estimator.estimate_batch(queries, &mut Scratch::default(), out));
        [single, batch].map(|answer| answer.expect_err(context))
    };
    let mut spoiled = [1.0; DIM];
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        spoiled[4] = bad;
        for error in attempt(&spoiled) {
            let named = matches!(error, EstimateError::NotFinite { at: 4, .. });
            assert!(named, "{context} refuses {bad} with: {error}");
        }
    }
    for error in attempt(&[0.0; DIM]) {
        let named = matches!(error, EstimateError::ZeroVector);
        assert!(named, "{context} refuses the zero vector with: {error}");
    }
    for got in [DIM - 1, DIM + 1] {
        for error in attempt(&vec![1.0; got]) {
            let named =
                matches!(error, EstimateError::Dimension { expected: DIM, got: g } if g == got);
            assert!(named, "{context} refuses {got} dimensions with: {error}");
        }
    }
}

fn refuses_to_fit(recipe: &dyn Fit) {
    let mut table = table(8, |_, _| true);
    table.embeddings[5 * DIM..6 * DIM].fill(0.0);
    let history = table.history(&NAMES);
    let errors = [recipe.fit(&history, SEED).map(drop), recipe.held_out(&history, SEED).map(drop)];
    for error in errors {
        let named = matches!(error, Err(FitError::ZeroVector { query: 5 }));
        assert!(named, "{} fits the zero vector: {error:?}", recipe.name());
    }
}
