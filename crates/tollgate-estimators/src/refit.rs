//! Any recipe as a pool: every change of it is fitted anew.
//!
//! # Problem
//!
//! Most recipes take their models from a history and know nothing of models that come later.
//! What a pool promises can be had from them all the same, at the price of a fit.
//!
//! # Method
//!
//! A model that comes is a column more of the history, with gaps where it has no label; labels
//! on other prompts than the history's are rows more, one for each embedding, in an order of
//! their own, so that it does not matter in which order they came. A model that goes is a
//! column less. The next version is the recipe's fit of that history with the same seed.
//!
//! A model without labels is a constant: its prior, or the mean of the models of the history,
//! with the spread of their means for a standard error; its first label takes it into the fit, and
//! from then on the prior counts no more.
//!
//! [`grow`](Estimator::grow) is the recipe's own as long as nobody came, went or learned; from
//! then on it is a fit. It takes a longer history of the models that were fitted, as other
//! pools do. [`worth_labelling`](ModelPool::worth_labelling) are prompts in a random order.
//!
//! # Limits
//!
//! A change costs a fit, of everybody: what is estimated of the others may follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_core::{
    EstimateError, EstimateTable, EstimatesMut, Estimator, Fit, FitError, History, Label, ModelId,
    ModelPool, Models, PoolError, Prior, Queries, Query, Scratch, Seed, check_known, check_labels,
    check_new_model, check_removal,
};

use crate::index::check_grown;
use crate::labelling;
use crate::labels::{Labels, QUALITY_PRIOR, check_models, shrunk};
use crate::log_costs::LOG_PRIOR;
use crate::pool::{Answers, At, named, with_tokens};
use crate::vector::check_queries;

/// The recipe whose estimators are pools, whatever those of the inner one are.
#[derive(Clone, Debug)]
pub struct Refit {
    recipe: Arc<dyn Fit>,
}

impl Refit {
    /// Fits `recipe` anew for every change.
    pub fn new(recipe: Arc<dyn Fit>) -> Self {
        Self { recipe }
    }

    fn wrap(&self, history: &History, seed: Seed, inner: Box<dyn Estimator>) -> Box<dyn Estimator> {
        let member = |model: usize| {
            let mut answers = Answers::default();
            answers.add_rows(history, model, 0);
            Member { answers, prior: Prior::default(), fitted: true }
        };
        let members = (0..history.models().len()).map(member).map(Arc::new).collect();
        Box::new(RefitPool {
            recipe: self.recipe.clone(),
            seed,
            guess: Guess::new(history),
            history: history.clone(),
            models: history.models().clone(),
            members,
            inner: Some(inner),
            as_fitted: true,
        })
    }
}

impl Fit for Refit {
    fn name(&self) -> String {
        format!("refit({})", self.recipe.name())
    }

    fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
        Ok(self.wrap(history, seed, self.recipe.fit(history, seed)?))
    }

    fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
        self.recipe.held_out(history, seed)
    }

    fn fit_and_hold_out(
        &self,
        history: &History,
        seed: Seed,
    ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
        let (inner, held_out) = self.recipe.fit_and_hold_out(history, seed)?;
        Ok((self.wrap(history, seed, inner), held_out))
    }
}

/// What a model is known by.
#[derive(Clone, Debug)]
struct Member {
    answers: Answers,
    prior: Prior,
    /// Whether it has been here since the fit, so that longer histories have labels of it.
    fitted: bool,
}

impl Member {
    fn is_labelled(&self) -> bool {
        self.answers.iter().next().is_some()
    }
}

/// A fit of everything that is known.
#[derive(Debug)]
struct RefitPool {
    recipe: Arc<dyn Fit>,
    seed: Seed,
    /// What was fitted first.
    history: History,
    guess: Guess,
    models: Models,
    /// By model index.
    members: Vec<Arc<Member>>,
    /// Of the models that have labels; `None` where none has.
    inner: Option<Box<dyn Estimator>>,
    /// Whether nothing has changed since the fit.
    as_fitted: bool,
}

impl RefitPool {
    /// The same with other models.
    fn next(
        &self,
        history: History,
        models: Models,
        members: Vec<Arc<Member>>,
    ) -> Result<Self, FitError> {
        let inner = all_labels(&history, &models, &members)
            .map(|all| self.recipe.fit(&all, self.seed))
            .transpose()?;
        Ok(Self {
            recipe: Arc::clone(&self.recipe),
            seed: self.seed,
            guess: Guess::new(&history),
            history,
            models,
            members,
            inner,
            as_fitted: false,
        })
    }

    fn changed(
        &self,
        models: Models,
        members: Vec<Arc<Member>>,
    ) -> Result<Box<dyn Estimator>, PoolError> {
        Ok(Box::new(self.next(self.history.clone(), models, members)?))
    }
}

/// A prompt that is not in the history by the bits of its direction, and which of several
/// copies.
type Place = (Vec<u32>, usize);

/// A history of all models that have a label: the rows of the first one, and one for each
/// other prompt; `None` where there is no label.
fn all_labels(history: &History, models: &Models, members: &[Arc<Member>]) -> Option<History> {
    let labelled: Vec<usize> =
        (0..members.len()).filter(|&model| members[model].is_labelled()).collect();
    if labelled.is_empty() {
        return None;
    }
    // Of a model's labels on copies of one prompt, each has a row of its own.
    let mut others: BTreeMap<Place, Vec<Option<[f64; 2]>>> = BTreeMap::new();
    let width = labelled.len();
    let mut tables = [0, 1].map(|_| vec![f64::NAN; history.len() * width]);
    for (column, &model) in labelled.iter().enumerate() {
        let mut copies: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        for answer in members[model].answers.iter() {
            let label = [answer.quality, answer.cost];
            match answer.at {
                At::Row(row) => {
                    for (table, value) in tables.iter_mut().zip(label) {
                        table[row * width + column] = value;
                    }
                }
                At::Direction(direction) => {
                    let bits: Vec<u32> = direction.iter().map(|x| x.to_bits()).collect();
                    let copy = copies.entry(bits.clone()).or_default();
                    let row = others.entry((bits, *copy)).or_insert_with(|| vec![None; width]);
                    row[column] = Some(label);
                    *copy += 1;
                }
            }
        }
    }
    let mut embeddings = history.embeddings().to_vec();
    for ((bits, _), row) in others {
        embeddings.extend(bits.into_iter().map(f32::from_bits));
        for (at, table) in tables.iter_mut().enumerate() {
            table.extend(row.iter().map(|label| label.map_or(f64::NAN, |label| label[at])));
        }
    }
    let names = named(labelled.iter().map(|&model| models.id(model)));
    let [quality, cost] = tables;
    let all = History::new(names, history.dim(), embeddings, quality, cost);
    let all = all.expect("all labels have been checked, and every model has one");
    let tokens = history.input_tokens().map(|known| tokens(known, all.len()));
    Some(with_tokens(all, tokens))
}

/// The tokens of `n` prompts of which the first are known. A label at an embedding does not say
/// how long its prompt was: those after count as the mean.
fn tokens(known: &[f64], n: usize) -> Vec<f64> {
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let mut tokens = known.to_vec();
    tokens.resize(n, mean);
    tokens
}

/// What is thought of a model that has neither label nor prior.
#[derive(Clone, Copy, Debug)]
struct Guess {
    quality: f64,
    quality_se: f64,
    /// In terms of the cost.
    cost_se: f64,
}

impl Guess {
    /// By the means of the models of a history.
    fn new(history: &History) -> Self {
        let labels = Labels::new(history);
        let models = 0..history.models().len();
        let scores = models.clone().map(|model| labels.quality_means.mean(model));
        let costs = models.map(|model| labels.cost_means.mean(model)).filter(|&cost| cost > 0.0);
        let (quality, quality_se) = spread(&scores.collect::<Vec<_>>(), QUALITY_PRIOR);
        let (_, cost_se) = spread(&costs.map(f64::ln).collect::<Vec<_>>(), LOG_PRIOR);
        Self { quality, quality_se: quality_se.min(0.5), cost_se }
    }
}

/// The mean of some values and their standard deviation.
fn spread(values: &[f64], prior: f64) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, shrunk(squares, n, prior).sqrt())
}

impl Estimator for RefitPool {
    fn models(&self) -> &Models {
        &self.models
    }

    fn dim(&self) -> usize {
        self.history.dim()
    }

    fn choice(&self) -> Option<&str> {
        self.inner.as_ref().and_then(|inner| inner.choice())
    }

    fn grow(&self, history: &History) -> Result<Box<dyn Estimator>, FitError> {
        check_models(self.history.models(), history)?;
        let n_rows = self.history.len();
        check_grown(history, n_rows, self.dim())?;
        let grown = |(id, member): (&ModelId, &Arc<Member>)| {
            let mut member = Member::clone(member);
            if let Some(model) = history.models().index_of(id.as_str())
                && member.fitted
            {
                member.answers.add_rows(history, model, n_rows);
            }
            Arc::new(member)
        };
        let members = self.models.iter().zip(&self.members).map(grown).collect();
        if let Some(inner) = self.inner.as_ref().filter(|_| self.as_fitted) {
            let inner = inner.grow(history)?;
            return Ok(Box::new(Self {
                recipe: Arc::clone(&self.recipe),
                seed: self.seed,
                guess: Guess::new(history),
                history: history.clone(),
                models: self.models.clone(),
                members,
                inner: Some(inner),
                as_fitted: true,
            }));
        }
        Ok(Box::new(self.next(history.clone(), self.models.clone(), members)?))
    }

    fn pool(&self) -> Option<&dyn ModelPool> {
        Some(self)
    }

    fn estimate_into(
        &self,
        query: Query<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        let queries = Queries::new(query.embedding, query.embedding.len());
        self.scatter(queries, scratch, out, |inner, scratch, out| {
            inner.estimate_into(query, scratch, out)
        })
    }

    fn estimate_batch(
        &self,
        queries: Queries<'_>,
        scratch: &mut Scratch,
        out: EstimatesMut<'_>,
    ) -> Result<(), EstimateError> {
        self.scatter(queries, scratch, out, |inner, scratch, out| {
            inner.estimate_batch(queries, scratch, out)
        })
    }
}

impl RefitPool {
    /// Lets the inner estimator write its models, and adds those without labels.
    fn scatter(
        &self,
        queries: Queries<'_>,
        scratch: &mut Scratch,
        mut out: EstimatesMut<'_>,
        estimate: impl FnOnce(
            &dyn Estimator,
            &mut Scratch,
            EstimatesMut<'_>,
        ) -> Result<(), EstimateError>,
    ) -> Result<(), EstimateError> {
        let n_models = self.models.len();
        let Some(inner) = &self.inner else {
            check_queries(queries, self.dim())?;
            for query in 0..queries.len() {
                let mut row = out.rows(n_models, query, query + 1);
                (0..n_models).for_each(|model| self.write_prior(model, &mut row));
            }
            return Ok(());
        };
        if inner.models().len() == n_models {
            return estimate(inner.as_ref(), scratch.child(0), out);
        }
        let n_inner = inner.models().len();
        let cells = queries.len().max(1) * n_inner;
        let mut floats = std::mem::take(&mut scratch.floats);
        floats.resize(4 * cells, 0.0);
        let mut columns = floats.chunks_exact_mut(cells);
        let mut column = || columns.next().expect("there are four");
        let mut own = EstimatesMut {
            quality: column(),
            quality_se: column(),
            cost: column(),
            cost_se: column(),
        };
        let done = estimate(inner.as_ref(), scratch.child(0), own.rows(n_inner, 0, queries.len()));
        if done.is_ok() {
            for query in 0..queries.len() {
                let mut row = out.rows(n_models, query, query + 1);
                let mut next = query * n_inner;
                for model in 0..n_models {
                    if self.members[model].is_labelled() {
                        row.quality[model] = own.quality[next];
                        row.quality_se[model] = own.quality_se[next];
                        row.cost[model] = own.cost[next];
                        row.cost_se[model] = own.cost_se[next];
                        next += 1;
                    } else {
                        self.write_prior(model, &mut row);
                    }
                }
            }
        }
        scratch.floats = floats;
        done
    }

    fn write_prior(&self, model: usize, row: &mut EstimatesMut<'_>) {
        let Prior { quality, cost } = self.members[model].prior;
        row.quality[model] = quality.unwrap_or(self.guess.quality);
        row.quality_se[model] = self.guess.quality_se;
        row.cost[model] = cost.expect("a model without labels has a prior cost");
        row.cost_se[model] = row.cost[model] * self.guess.cost_se;
    }
}

impl ModelPool for RefitPool {
    fn representatives(&self) -> Queries<'_> {
        self.history.queries()
    }

    fn worth_labelling(&self, n: usize) -> Vec<usize> {
        let mut order = labelling::random(self.history.len(), self.seed);
        order.truncate(n);
        order
    }

    fn add_model(
        &self,
        model: &ModelId,
        prior: Prior,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        check_new_model(&self.models, self.history.len(), model, prior, labels)?;
        let answers = Answers::default().with(model, self.dim(), labels)?;
        let models = named(self.models.iter().chain([model]));
        let at = models.index_of(model.as_str()).expect("it has just been added");
        let mut members = self.members.clone();
        members.insert(at, Arc::new(Member { answers, prior, fitted: false }));
        self.changed(models, members)
    }

    fn remove_model(&self, model: &ModelId) -> Result<Box<dyn Estimator>, PoolError> {
        let at = check_removal(&self.models, model)?;
        let mut members = self.members.clone();
        members.remove(at);
        self.changed(named(self.models.iter().filter(|&id| id != model)), members)
    }

    fn update_labels(
        &self,
        model: &ModelId,
        labels: &[Label<'_>],
    ) -> Result<Box<dyn Estimator>, PoolError> {
        let at = check_known(&self.models, model)?;
        check_labels(self.history.len(), model, labels)?;
        let mut member = Member::clone(&self.members[at]);
        member.answers = member.answers.with(model, self.dim(), labels)?;
        let mut members = self.members.clone();
        members[at] = Arc::new(member);
        self.changed(self.models.clone(), members)
    }
}

#[cfg(test)]
#[path = "refit/tests.rs"]
mod tests;
