//! What happens, in order, and what becomes of each arrival.

/// Something that happened, and how busy its model was afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When, in seconds since the start.
    pub time: f64,
    /// To which arrival.
    pub arrival: usize,
    /// What.
    pub what: What,
    /// Answers in the slots of its model, after it; 0 where there is no model.
    pub running: u32,
    /// Queries in the queue of its model, after it; 0 where there is no model.
    pub waiting: u32,
}

/// What can happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// It comes and waits for this model.
    Queued(usize),
    /// This model begins to answer it.
    Started(usize),
    /// The answer of this model is complete.
    Answered(usize),
    /// It comes and finds no place.
    Rejected,
    /// It comes and is declined: no model is worth its price.
    Declined,
    /// It comes and no model that is worth trying can be paid for.
    Unaffordable,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It was answered.
    Answered(Answer),
    /// Every model that it was to go to was full.
    Rejected,
    /// The policy declined it: no model is worth its price.
    Declined,
    /// No model that is worth trying could be paid for.
    Unaffordable,
}

/// An answer and its times, in seconds since the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Who answered.
    pub model: usize,
    /// When the query came.
    pub arrived: f64,
    /// When the model began to answer.
    pub started: f64,
    /// When the answer was complete.
    pub finished: f64,
}

impl Answer {
    /// Seconds in the queue.
    pub fn wait(&self) -> f64 {
        self.started - self.arrived
    }

    /// Seconds until the answer was complete.
    pub fn latency(&self) -> f64 {
        self.finished - self.arrived
    }
}
