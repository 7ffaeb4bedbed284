//! Accounts that are never overspent.
//!
//! # Problem
//! Many threads spend from accounts that overlap (a model's, a tenant's, the pool).
//! At every moment, on every account, `spent + reserved <= limit`.
//!
//! # Method
//! One account for each row of [`Budgets`], in integers. A reservation takes an
//! upper bound from every account that its option touches, or from none; settling
//! turns it into the real amount. All accounts are behind one lock that is held for
//! a handful of additions, so a reservation across accounts is atomic and no thread
//! ever sees half of one: lock-free counters would need to take and give back, and
//! a bystander could be refused for money that was never spent.
//!
//! Budgets may change while money is held: [`Ledger::with_budgets`] is another handle to the
//! same accounts, for other rows. A reservation knows the rows that it was made by, so it
//! settles on those accounts whatever has changed since; an account that no handle and no
//! reservation speaks of any more is closed, and its place given to the next.
//!
//! The account of a concurrent row ([`Budgets::concurrent`]) counts what is in flight: settling
//! gives back what was held, and nothing of it is ever spent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::money::INTEGERS;
use crate::{Budgets, LedgerError, Meter, MoneyError, PicoUsd, Row};

/// What one query consumes, besides being one query.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Amounts {
    /// Money.
    pub cost: PicoUsd,
    /// Tokens read and written.
    pub tokens: u64,
}

impl Amounts {
    /// Only money.
    pub fn cost(cost: PicoUsd) -> Self {
        Self { cost, tokens: 0 }
    }

    fn of(self, meter: Meter) -> u64 {
        match meter {
            Meter::Cost => self.cost.0,
            Meter::Tokens => self.tokens,
            Meter::One => 1,
            Meter::Quality | Meter::Latency => {
                unreachable!("budgets are not on quality or latency")
            }
        }
    }
}

/// One account at one moment, in the ledger's integer unit (10^-12 USD, tokens, queries).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccountState {
    /// What may be consumed.
    pub limit: u64,
    /// Settled.
    pub spent: u64,
    /// Held by reservations.
    pub reserved: u64,
    /// Consumed beyond a reservation's own bound and beyond what was left: booked,
    /// not hidden. Never part of `spent`.
    pub overrun: u64,
    /// Sum of the estimates of everything picked, lost picks included.
    pub estimated: u64,
    /// The window that the limit is for, counted from 0; 0 where it is for the whole run.
    pub window: u64,
}

impl AccountState {
    /// What is neither spent nor reserved.
    pub fn free(&self) -> u64 {
        self.limit - self.spent - self.reserved
    }
}

/// Thread-safe accounts over the rows of [`Budgets`]. A clone is another handle to
/// the same accounts.
#[derive(Clone, Debug)]
pub struct Ledger {
    layout: Arc<Layout>,
}

/// Which account each row has.
#[derive(Debug)]
struct Layout {
    budgets: Budgets,
    /// Units of the integer accounts per unit of the row, by row.
    scales: Vec<f64>,
    /// What each row's window adds, in the account's unit.
    limits: Vec<u64>,
    /// The account of each row.
    slots: Vec<usize>,
    book: Arc<Mutex<Book>>,
}

/// All accounts, those of former rows included as long as somebody speaks of them.
#[derive(Debug, Default)]
struct Book {
    accounts: Vec<AccountState>,
    /// How many layouts each account is in.
    uses: Vec<usize>,
    /// Accounts in no layout.
    vacant: Vec<usize>,
}

impl Book {
    fn open(&mut self, limit: u64) -> usize {
        let account = AccountState { limit, ..AccountState::default() };
        let Some(slot) = self.vacant.pop() else {
            self.accounts.push(account);
            self.uses.push(1);
            return self.accounts.len() - 1;
        };
        self.accounts[slot] = account;
        self.uses[slot] = 1;
        slot
    }

    fn leave(&mut self, slot: usize) {
        self.uses[slot] -= 1;
        if self.uses[slot] == 0 {
            self.vacant.push(slot);
        }
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        let mut book = lock(&self.book);
        self.slots.iter().for_each(|&slot| book.leave(slot));
    }
}

/// A poisoned lock is still consistent: nothing panics while it is held.
fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Layout {
    fn new(
        budgets: Budgets,
        kept: &[Option<usize>],
        before: &[usize],
        book: Arc<Mutex<Book>>,
    ) -> Result<Self, LedgerError> {
        let scales: Vec<f64> = budgets.rows().iter().map(units_per).collect();
        let rows = budgets.rows().iter().zip(&scales).enumerate();
        let limits: Vec<u64> = rows
            .map(|(index, (row, scale))| limit(index, row, *scale))
            .collect::<Result<_, LedgerError>>()?;
        let mut open = lock(&book);
        let slots = kept.iter().zip(&limits).map(|(kept, &limit)| match kept {
            Some(row) => {
                open.uses[before[*row]] += 1;
                before[*row]
            }
            None => open.open(limit),
        });
        let slots = slots.collect();
        drop(open);
        Ok(Self { budgets, scales, limits, slots, book })
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// The accounts that an option touches.
    fn touching(&self, group: u32, model: usize) -> impl Iterator<Item = (usize, Meter)> {
        let rows = self.budgets.touching(group, model).iter();
        rows.map(|&row| (self.slots[row as usize], self.budgets.rows()[row as usize].meter))
    }

    /// The accounts that an answer, once it is there, has spent from.
    fn spending(&self, group: u32, model: usize) -> impl Iterator<Item = (usize, Meter)> {
        let rows = self.budgets.touching(group, model).iter().map(|&row| row as usize);
        let spent = rows.filter(|&row| self.budgets.holds()[row].is_none());
        spent.map(|row| (self.slots[row], self.budgets.rows()[row].meter))
    }

    fn amounts(&self, model: usize, usd: f64) -> Result<Amounts, MoneyError> {
        let cost = PicoUsd::from_usd(usd)?;
        let rate = self.budgets.tokens_per_usd().map_or(0.0, |rates| rates[model]);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a product of two numbers >= 0, cut at the end of the range"
        )]
        let tokens = (usd * rate).ceil() as u64;
        Ok(Amounts { cost, tokens })
    }
}

impl Ledger {
    /// Opens an account for every row, with nothing spent.
    ///
    /// # Errors
    /// [`LedgerError::Limit`] when a capacity does not fit the ledger's integers.
    pub fn open(budgets: Budgets) -> Result<Self, LedgerError> {
        let new = vec![None; budgets.rows().len()];
        let layout = Layout::new(budgets, &new, &[], Arc::default())?;
        Ok(Self { layout: Arc::new(layout) })
    }

    /// The same accounts under other budgets: row `r` of `budgets` goes on with the account of
    /// row `kept[r]` of this handle, as it stands and with its limit, or has a new one where
    /// that is `None`. This handle goes on to work; an account that the other does not keep
    /// ends with the last handle and the last reservation that speak of it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Panics
    /// When `kept` does not have one entry a row, or names a row that this handle has not.
    pub fn with_budgets(
        &self,
        budgets: Budgets,
        kept: &[Option<usize>],
    ) -> Result<Self, LedgerError> {
        assert_eq!(kept.len(), budgets.rows().len(), "one entry a row");
        let book = Arc::clone(&self.layout.book);
        let layout = Layout::new(budgets, kept, &self.layout.slots, book)?;
        Ok(Self { layout: Arc::new(layout) })
    }

    /// The rows that the accounts stand for.
    pub fn budgets(&self) -> &Budgets {
        &self.layout.budgets
    }

    /// Takes `bound` from every account that sending a query of `group` to `model`
    /// touches, or from none of them: `None` when some account has less left.
    pub fn reserve(&self, group: u32, model: usize, bound: Amounts) -> Option<Reservation> {
        let mut book = self.layout.lock();
        let accounts = &mut book.accounts;
        let fits = self
            .layout
            .touching(group, model)
            .all(|(slot, meter)| bound.of(meter) <= accounts[slot].free());
        if !fits {
            return None;
        }
        for (slot, meter) in self.layout.touching(group, model) {
            accounts[slot].reserved += bound.of(meter);
        }
        drop(book);
        let layout = Some(Arc::clone(&self.layout));
        Some(Reservation { layout, group, model, bound, estimate: 0.0 })
    }

    /// What an answer of `model` for `usd` consumes: the money, and the tokens that it stands
    /// for by the budgets' rates, rounded up.
    ///
    /// # Errors
    /// [`MoneyError`] when `usd` is not an amount of money.
    pub fn amounts(&self, model: usize, usd: f64) -> Result<Amounts, MoneyError> {
        self.layout.amounts(model, usd)
    }

    /// Opens the windows that have begun by `now`, in seconds since the start: what a window
    /// leaves lapses or is carried over, as its [`Refill`](crate::Refill) says. What is
    /// reserved stays reserved, so at no moment is `spent + reserved` above the limit.
    ///
    /// Does nothing where no row is refilled, and for a moment before the latest.
    pub fn advance(&self, now: f64) {
        let refills = self.layout.budgets.refills();
        if refills.iter().all(Option::is_none) {
            return;
        }
        let mut book = self.layout.lock();
        let rows = self.layout.slots.iter().zip(refills).zip(&self.layout.limits);
        for ((&slot, refill), &capacity) in rows {
            let account = &mut book.accounts[slot];
            let Some(refill) = refill else { continue };
            let window = refill.window(now);
            let begun = window.saturating_sub(account.window);
            if begun == 0 {
                continue;
            }
            account.window = window;
            if refill.carry_over {
                account.limit = account.limit.saturating_add(capacity.saturating_mul(begun));
            } else {
                let used = account.spent + account.reserved;
                account.limit = used.saturating_add(capacity);
                account.estimated = used;
            }
        }
    }

    /// Books the estimate of a pick, whether it will be served or lost. A concurrent row gets
    /// it back, so there it is not booked.
    pub fn expect(&self, group: u32, model: usize, estimate: Amounts) {
        let mut book = self.layout.lock();
        for (slot, meter) in self.layout.spending(group, model) {
            let account = &mut book.accounts[slot];
            account.estimated = account.estimated.saturating_add(estimate.of(meter));
        }
    }

    /// All accounts at one moment, in the order of the rows.
    pub fn accounts(&self) -> Vec<AccountState> {
        let book = self.layout.lock();
        self.layout.slots.iter().map(|&slot| book.accounts[slot]).collect()
    }

    /// Writes what is left of every row, in the row's own unit, as of one moment:
    /// [`BudgetView::remaining`](crate::BudgetView::remaining) and
    /// [`remaining_estimated`](crate::BudgetView::remaining_estimated). Allocates
    /// nothing once both have grown to the number of rows.
    pub fn remaining_into(&self, remaining: &mut Vec<f64>, remaining_estimated: &mut Vec<f64>) {
        remaining.clear();
        remaining_estimated.clear();
        let book = self.layout.lock();
        let rows = self.layout.slots.iter().zip(&self.layout.scales);
        for ((&slot, scale), hold) in rows.zip(self.layout.budgets.holds()) {
            let account = &book.accounts[slot];
            let free = account.free() as f64;
            remaining.push(free / scale);
            // What comes back is not charged for good.
            let estimated = account.limit as f64 - account.estimated as f64;
            remaining_estimated.push(if hold.is_some() { free } else { estimated } / scale);
        }
    }
}

/// What a settlement did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settlement {
    /// By how much the real cost broke its own reservation and did not fit what was
    /// left of the fullest account; booked as overrun.
    pub overrun: PicoUsd,
}

/// Money held for one query. Dropping it releases it.
#[derive(Debug)]
#[must_use = "dropping a reservation releases it"]
pub struct Reservation {
    /// The rows that it was made by; `None` once settled.
    layout: Option<Arc<Layout>>,
    group: u32,
    model: usize,
    bound: Amounts,
    /// In USD.
    estimate: f64,
}

impl Reservation {
    /// The model it is for, by its index when the reservation was made.
    pub fn model(&self) -> usize {
        self.model
    }

    /// Whether it was made by this handle, so that its model has the index it had.
    pub fn is_of(&self, ledger: &Ledger) -> bool {
        self.layout.as_ref().is_some_and(|layout| Arc::ptr_eq(layout, &ledger.layout))
    }

    /// Notes what the answer was expected to cost, in USD, for whoever settles it.
    pub fn expecting(mut self, usd: f64) -> Self {
        self.estimate = usd;
        self
    }

    /// What the answer was expected to cost, in USD; 0 where nobody has said so.
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// What is held.
    pub fn bound(&self) -> Amounts {
        self.bound
    }

    /// What an answer for `usd` consumes, by the budgets that the reservation was made by.
    ///
    /// # Errors
    /// [`MoneyError`] when `usd` is not an amount of money.
    pub fn amounts(&self, usd: f64) -> Result<Amounts, MoneyError> {
        match &self.layout {
            Some(layout) => layout.amounts(self.model, usd),
            None => PicoUsd::from_usd(usd).map(Amounts::cost),
        }
    }

    /// Replaces what is held by what was really consumed; a concurrent row has back what was
    /// held of it.
    ///
    /// Where that is more than was held, the excess is taken from what is left of
    /// the account; what does not fit there either is booked as overrun.
    pub fn settle(mut self, real: Amounts) -> Settlement {
        let mut settlement = Settlement::default();
        let Some(layout) = self.layout.take() else { return settlement };
        let mut book = layout.lock();
        for (slot, meter) in layout.touching(self.group, self.model) {
            book.accounts[slot].reserved -= self.bound.of(meter);
        }
        for (slot, meter) in layout.spending(self.group, self.model) {
            let account = &mut book.accounts[slot];
            let fitting = real.of(meter).min(account.free());
            let overrun = real.of(meter) - fitting;
            account.spent += fitting;
            account.overrun = account.overrun.saturating_add(overrun);
            if meter == Meter::Cost {
                settlement.overrun = settlement.overrun.max(PicoUsd(overrun));
            }
        }
        settlement
    }

    /// Gives everything back.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(layout) = self.layout.take() else { return };
        let mut book = layout.lock();
        for (slot, meter) in layout.touching(self.group, self.model) {
            book.accounts[slot].reserved -= self.bound.of(meter);
        }
    }
}

fn units_per(row: &Row) -> f64 {
    if row.meter == Meter::Cost { PicoUsd::PER_USD } else { 1.0 }
}

/// The capacity in integer units. Money is rounded to the nearest pico-dollar, other
/// meters down: a fraction of a query can't be spent.
fn limit(index: usize, row: &Row, scale: f64) -> Result<u64, LedgerError> {
    let units = row.capacity * scale;
    if units >= INTEGERS {
        return Err(LedgerError::Limit { row: index, capacity: row.capacity });
    }
    let whole = if row.meter == Meter::Cost { units.round() } else { units.floor() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Budgets refuses negative capacities, the upper end is checked above"
    )]
    Ok(whole as u64)
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
