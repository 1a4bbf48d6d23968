//! How long things took: counted, not kept.

use std::time::Duration;

/// Each doubling of time has so many steps, so that a figure is right to 1 in 100.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// From a nanosecond to centuries.
const COUNTS: usize = (64 - STEP_BITS as usize + 1) * STEPS;

/// Durations.
pub(crate) struct Histogram {
    counts: Box<[u64; COUNTS]>,
    total: u64,
    most_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; COUNTS]), total: 0, most_ns: 0 }
    }
}

impl Histogram {
    /// One more.
    pub(crate) fn add(&mut self, duration: Duration) {
        let ns = duration.as_nanos() as u64;
        self.counts[place(ns)] += 1;
        self.total += 1;
        self.most_ns = self.most_ns.max(ns);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.most_ns) = (0, 0);
    }

    /// The time, in milliseconds, that so many of a hundred did not exceed. NaN without any.
    pub(crate) fn percentile_ms(&self, percent: u64) -> f64 {
        let (mut left, rank) = (self.total, self.total * (100 - percent) / 100);
        for (place, count) in self.counts.iter().enumerate() {
            left -= count;
            if *count > 0 && left <= rank {
                return middle_ns(place) / 1e6;
            }
        }
        f64::NAN
    }

    /// The longest, in milliseconds.
    pub(crate) fn most_ms(&self) -> f64 {
        if self.total == 0 { f64::NAN } else { self.most_ns as f64 / 1e6 }
    }
}

fn place(ns: u64) -> usize {
    let doublings = (ns >> STEP_BITS).checked_ilog2().map_or(0, |log| log + 1);
    match doublings {
        0 => ns as usize,
        _ => doublings as usize * STEPS + ((ns >> (doublings - 1)) as usize - STEPS),
    }
}

fn middle_ns(place: usize) -> f64 {
    let (doublings, step) = (place / STEPS, place % STEPS);
    match doublings {
        0 => step as f64,
        _ => ((STEPS + step) as f64 + 0.5) * (1u64 << (doublings - 1)) as f64,
    }
}
