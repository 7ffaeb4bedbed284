//! One model: who is in its slots, who waits, and how long the next one would.

use std::collections::VecDeque;

use tollgate::core::Reservation;

/// A query that a model has taken in.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) arrival: usize,
    pub(super) arrived: f64,
    /// Seconds in a slot, really.
    pub(super) seconds: f64,
    /// Seconds in a slot, as expected.
    pub(super) expected: f64,
    pub(super) held: Reservation,
}

/// The slots and the queue of a model.
#[derive(Debug)]
pub(super) struct Station {
    slots: usize,
    places: usize,
    /// Arrivals in the slots, and when each is expected to be answered.
    running: Vec<(usize, f64)>,
    waiting: VecDeque<Job>,
    /// Seconds of slots taken by answers that are complete.
    pub(super) busy: f64,
    pub(super) most_in_flight: usize,
    pub(super) longest_queue: usize,
    /// When each slot is expected to be free, ascending: scratch.
    free_at: Vec<f64>,
}

impl Station {
    pub(super) fn new(slots: u32, places: u32) -> Self {
        let [slots, places] = [slots, places].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            slots,
            places,
            running: Vec::new(),
            waiting: VecDeque::new(),
            busy: 0.0,
            most_in_flight: 0,
            longest_queue: 0,
            free_at: Vec::new(),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.running() + self.waiting() >= self.places
    }

    pub(super) fn has_free_slot(&self) -> bool {
        self.running() < self.slots
    }

    pub(super) fn start(&mut self, job: &Job, now: f64) {
        self.running.push((job.arrival, now + job.expected));
        self.most_in_flight = self.most_in_flight.max(self.running());
    }

    pub(super) fn queue(&mut self, job: Job) {
        self.waiting.push_back(job);
        self.longest_queue = self.longest_queue.max(self.waiting());
    }

    /// An answer is complete: its slot is free.
    pub(super) fn finish(&mut self, job: &Job) {
        if let Some(at) = self.running.iter().position(|(arrival, _)| *arrival == job.arrival) {
            self.running.swap_remove(at);
            self.busy += job.seconds;
        }
    }

    /// The one that has waited the longest.
    pub(super) fn next(&mut self) -> Option<Job> {
        self.waiting.pop_front()
    }

    /// Seconds that a query which comes now is expected to wait: each one before it goes, in
    /// turn, to the slot that is expected to be free first. What has taken longer than expected
    /// is expected to end now.
    pub(super) fn expected_wait(&mut self, now: f64) -> f64 {
        if self.has_free_slot() {
            return 0.0;
        }
        let free_at = &mut self.free_at;
        free_at.clear();
        free_at.extend(self.running.iter().map(|(_, end)| end.max(now)));
        free_at.sort_unstable_by(f64::total_cmp);
        for job in &self.waiting {
            let end = free_at.remove(0) + job.expected;
            let at = free_at.partition_point(|other| *other <= end);
            free_at.insert(at, end);
        }
        free_at[0] - now
    }
}
