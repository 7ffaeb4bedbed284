//! Recipes whose fit has its held-out estimates for the asking.

/// The methods of [`Fit`](tollgate_core::Fit) that fit, all through one of the recipe's own, of
/// history and seed, that answers an estimator and the held-out estimates. Names are those that
/// the recipe's file imports.
macro_rules! fit_through {
    ($both:ident) => {
        fn fit(&self, history: &History, seed: Seed) -> Result<Box<dyn Estimator>, FitError> {
            Ok(Box::new(self.$both(history, seed)?.0))
        }

        fn held_out(&self, history: &History, seed: Seed) -> Result<EstimateTable, FitError> {
            Ok(self.$both(history, seed)?.1)
        }

        fn fit_and_hold_out(
            &self,
            history: &History,
            seed: Seed,
        ) -> Result<(Box<dyn Estimator>, EstimateTable), FitError> {
            let (estimator, held_out) = self.$both(history, seed)?;
            Ok((Box::new(estimator), held_out))
        }
    };
}

pub(crate) use fit_through;
