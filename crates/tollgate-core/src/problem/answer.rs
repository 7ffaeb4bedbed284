//! A proposed answer, and how it stands to the problem.

/// A sparse fractional answer: for each query the models it goes to, with shares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Primal {
    /// Entries of query `j` are `entries[offsets[j]..offsets[j + 1]]`.
    offsets: Vec<usize>,
    /// `(model, share)`, models ascending within a query.
    entries: Vec<(u32, f64)>,
}

impl Primal {
    /// Collects the entries of each query in turn.
    pub fn from_queries<Q>(queries: impl IntoIterator<Item = Q>) -> Self
    where
        Q: IntoIterator<Item = (u32, f64)>,
    {
        let queries = queries.into_iter();
        let mut primal = Self::with_capacity(queries.size_hint().0);
        for query in queries {
            primal.push(query);
        }
        primal
    }

    /// Room for some queries, to be [`push`](Self::push)ed in order.
    pub fn with_capacity(n_queries: usize) -> Self {
        let mut offsets = Vec::with_capacity(n_queries + 1);
        offsets.push(0);
        Self { offsets, entries: Vec::with_capacity(n_queries) }
    }

    /// Appends the next query: `(model, share)`, models ascending; none where it is declined.
    pub fn push(&mut self, query: impl IntoIterator<Item = (u32, f64)>) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.entries.extend(query);
        self.offsets.push(self.entries.len());
    }

    /// How many queries it answers.
    pub fn n_queries(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// `(model, share)` of one query; empty where it is declined.
    pub fn of(&self, query: usize) -> &[(u32, f64)] {
        &self.entries[self.offsets[query]..self.offsets[query + 1]]
    }

    /// How many queries are split between models, or partly declined.
    pub fn n_fractional(&self) -> usize {
        (0..self.n_queries())
            .filter(|&query| self.of(query).iter().any(|&(_, share)| share > 0.0 && share < 1.0))
            .count()
    }

    /// Each query to its largest share (ties to the lower model), or declined
    /// where it has none.
    pub fn round(&self) -> Assignment {
        (0..self.n_queries())
            .map(|query| {
                let mut best: Option<(u32, f64)> = None;
                for &(model, share) in self.of(query) {
                    if share > 0.0 && best.is_none_or(|(_, most)| share > most) {
                        best = Some((model, share));
                    }
                }
                best.map(|(model, _)| model)
            })
            .collect()
    }
}

/// One model, or none, for every query.
pub type Assignment = Vec<Option<u32>>;

impl FromIterator<Option<u32>> for Primal {
    fn from_iter<I: IntoIterator<Item = Option<u32>>>(assignment: I) -> Self {
        Self::from_queries(assignment.into_iter().map(|model| model.map(|model| (model, 1.0))))
    }
}

/// How an answer stands to the problem: see [`Problem::check`](crate::Problem::check).
#[derive(Clone, Debug, PartialEq)]
pub struct Feasibility {
    /// Its objective, penalties of soft rows taken off.
    pub value: f64,
    /// What it uses of each row, in the unit of the row's meter.
    pub used: Vec<f64>,
    /// By how much it breaks its worst hard row, in the row's unit; 0 when it breaks none.
    pub violation: f64,
    /// That row.
    pub worst_row: Option<usize>,
    /// By how much some query's shares break `x >= 0` or the choice constraint.
    pub choice_violation: f64,
}
