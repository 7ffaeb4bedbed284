//! A prompt, or some, as an estimator sees them.

/// One prompt, as an estimator sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Query<'a> {
    /// Shape `(dim,)`, of length 1 in the Euclidean norm up to rounding.
    pub embedding: &'a [f32],
    /// Tokens of the prompt, finite and `>= 0`; `None` where nobody has counted. Read by those
    /// alone who price lengths by a [`PriceList`](crate::PriceList).
    pub input_tokens: Option<f64>,
}

impl<'a> Query<'a> {
    /// A prompt of unknown length.
    pub fn new(embedding: &'a [f32]) -> Self {
        Self { embedding, input_tokens: None }
    }

    /// Says how many tokens it has, finite and `>= 0`, where somebody has counted.
    #[must_use]
    pub fn input_tokens(mut self, tokens: Option<f64>) -> Self {
        self.input_tokens = tokens;
        self
    }
}

/// Some prompts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Queries<'a> {
    /// Row-major `(len, dim)`.
    pub embeddings: &'a [f32],
    /// The dimension of the embedding.
    pub dim: usize,
    /// Tokens of each prompt, shape `(len,)`, finite and `>= 0`; `None` where nobody has
    /// counted.
    pub input_tokens: Option<&'a [f64]>,
}

impl<'a> Queries<'a> {
    /// Prompts of unknown length; `embeddings` is row-major `(len, dim)`.
    pub fn new(embeddings: &'a [f32], dim: usize) -> Self {
        Self { embeddings, dim, input_tokens: None }
    }

    /// Says how many tokens each has, shape `(len,)`, finite and `>= 0`, where somebody has
    /// counted.
    ///
    /// # Panics
    /// When there is not one count for each prompt.
    #[must_use]
    pub fn input_tokens(mut self, tokens: Option<&'a [f64]>) -> Self {
        if let Some(tokens) = tokens {
            assert_eq!(tokens.len(), self.len(), "one count of tokens for each prompt");
        }
        self.input_tokens = tokens;
        self
    }

    /// How many prompts.
    pub fn len(&self) -> usize {
        self.embeddings.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prompt number `index`.
    ///
    /// # Panics
    /// When there is no such prompt.
    pub fn query(&self, index: usize) -> Query<'a> {
        Query {
            embedding: &self.embeddings[index * self.dim..(index + 1) * self.dim],
            input_tokens: self.input_tokens.map(|tokens| tokens[index]),
        }
    }

    /// The prompts from number `first` to before number `end`.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn rows(&self, first: usize, end: usize) -> Self {
        Self {
            embeddings: &self.embeddings[first * self.dim..end * self.dim],
            dim: self.dim,
            input_tokens: self.input_tokens.map(|tokens| &tokens[first..end]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_keep_their_lengths() {
        let embeddings = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
        let plain = Queries::new(&embeddings, 2);
        assert_eq!(plain.query(1).input_tokens, None);
        let queries = plain.input_tokens(Some(&[10.0, 20.0, 30.0]));
        assert_eq!(queries.query(1).input_tokens, Some(20.0));
        let rest = queries.rows(1, 3);
        assert_eq!(rest.len(), 2);
        assert_eq!(
            (rest.query(1).embedding, rest.query(1).input_tokens),
            (&[0.6, 0.8][..], Some(30.0))
        );
        assert_eq!(Query::new(&embeddings).input_tokens(Some(3.0)).input_tokens, Some(3.0));
    }

    #[test]
    #[should_panic(expected = "one count of tokens for each prompt")]
    fn a_count_for_each() {
        let _ = Queries::new(&[1.0, 0.0], 1).input_tokens(Some(&[1.0]));
    }
}
