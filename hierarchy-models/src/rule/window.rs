//! What a value was in the last while, by the time of its records: its samples in order, in blocks that each know their own figures.
//!
//! A sample at the end costs a few additions, one that comes late or leaves costs its block; a question folds the blocks, of which
//! there are [`WINDOW_SAMPLES_MAX`] / [`BLOCK_MAX`] and a few at most. Two stacks would be O(1), but take no sample in the middle.

use std::collections::VecDeque;

use crate::{limits::WINDOW_SAMPLES_MAX, time::Timestamp};

/// Samples of a block; a fuller one is cut in two.
const BLOCK_MAX: usize = 64;

/// Figures of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    mean: f64,
    /// Sum of the squares of the distances from the mean.
    squares: f64,
}

impl Figures {
    const NONE: Self = Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 };

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
    }

    fn of(samples: &[(Timestamp, f64)]) -> Self {
        samples.iter().fold(Self::NONE, |mut all, (_, value)| {
            all.add(*value);
            all
        })
    }

    /// Both together, by the parallel form of the variance.
    fn with(self, other: &Self) -> Self {
        if self.count == 0 {
            return *other;
        }
        if other.count == 0 {
            return self;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let off = other.mean - self.mean;
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean: self.mean + off * m / (n + m),
            squares: self.squares + other.squares + off * off * n * m / (n + m),
        }
    }

    pub fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Of the samples as the whole population.
    pub fn stddev(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.squares.max(0.0) / self.count as f64).sqrt())
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Block {
    samples: VecDeque<(Timestamp, f64)>,
    figures: Figures,
}

impl Block {
    fn new(samples: VecDeque<(Timestamp, f64)>) -> Self {
        let mut block = Self { samples, figures: Figures::NONE };
        block.count_anew();
        block
    }

    fn count_anew(&mut self) {
        self.figures = Figures::of(self.samples.make_contiguous());
    }

    fn first(&self) -> Option<(Timestamp, f64)> {
        self.samples.front().copied()
    }

    fn last(&self) -> Option<(Timestamp, f64)> {
        self.samples.back().copied()
    }
}

/// Whether a sample lies outside: the window reaches from `now` back to, but not including, its length before.
fn is_old(at: Timestamp, now: Timestamp, length_ms: i64) -> bool {
    now.as_millis().saturating_sub(at.as_millis()) >= length_ms
}

/// The samples of one value in a span of time up to now.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    length_ms: i64,
    /// In order of time, none empty.
    blocks: VecDeque<Block>,
    held: usize,
    /// Samples that went before their time, for want of room.
    dropped: u64,
}

impl Window {
    pub fn new(length_ms: i64) -> Self {
        Self { length_ms, blocks: VecDeque::new(), held: 0, dropped: 0 }
    }

    /// Takes a sample, whenever it was measured; of two of one instant both count.
    pub fn put(&mut self, at: Timestamp, value: f64) {
        if self.held >= WINDOW_SAMPLES_MAX {
            self.dropped += 1;
            if self.oldest().is_some_and(|(oldest, _)| at < oldest) {
                return;
            }
            self.pop();
        }
        self.held += 1;
        let is_last = self.newest().is_none_or(|(newest, _)| newest <= at);
        match self.blocks.back_mut().filter(|block| is_last && block.samples.len() < BLOCK_MAX) {
            Some(block) => {
                block.samples.push_back((at, value));
                block.figures.add(value);
            }
            None if is_last => self.blocks.push_back(Block::new([(at, value)].into())),
            None => self.put_between(at, value),
        }
    }

    fn put_between(&mut self, at: Timestamp, value: f64) {
        let place = self.blocks.partition_point(|block| block.last().is_some_and(|(last, _)| last <= at));
        let Some(block) = self.blocks.get_mut(place) else { return };
        let within = block.samples.partition_point(|(earlier, _)| *earlier <= at);
        block.samples.insert(within, (at, value));
        if block.samples.len() > BLOCK_MAX {
            let rest = block.samples.split_off(BLOCK_MAX / 2);
            block.count_anew();
            self.blocks.insert(place + 1, Block::new(rest));
        } else {
            block.count_anew();
        }
    }

    fn pop(&mut self) {
        let Some(block) = self.blocks.front_mut() else { return };
        block.samples.pop_front();
        self.held -= 1;
        if block.samples.is_empty() {
            self.blocks.pop_front();
        } else {
            block.count_anew();
        }
    }

    /// Lets go of what is older at `now` than the window is long.
    pub fn expire(&mut self, now: Timestamp) {
        let length_ms = self.length_ms;
        let is_old = |at: Timestamp| is_old(at, now, length_ms);
        // A block as a whole costs nothing to count.
        while let Some(block) = self.blocks.front_mut() {
            if block.last().is_some_and(|(last, _)| is_old(last)) {
                self.held -= block.samples.len();
                self.blocks.pop_front();
                continue;
            }
            let old = block.samples.partition_point(|(at, _)| is_old(*at));
            if old > 0 {
                self.held -= old;
                block.samples.drain(..old);
                block.count_anew();
            }
            return;
        }
    }

    /// Of what is not too old at `now`, which may be later than what was let go of.
    pub fn figures(&self, now: Timestamp) -> Figures {
        self.blocks.iter().fold(Figures::NONE, |all, block| {
            let is_old = |sample: Option<(Timestamp, f64)>| sample.is_some_and(|(at, _)| is_old(at, now, self.length_ms));
            match (is_old(block.first()), is_old(block.last())) {
                (false, _) => all.with(&block.figures),
                (true, true) => all,
                (true, false) => block.samples.iter().filter(|sample| !is_old(Some(**sample))).fold(all, |mut all, (_, value)| {
                    all.add(*value);
                    all
                }),
            }
        })
    }

    pub fn oldest(&self) -> Option<(Timestamp, f64)> {
        self.blocks.front().and_then(Block::first)
    }

    pub fn newest(&self) -> Option<(Timestamp, f64)> {
        self.blocks.back().and_then(Block::last)
    }

    /// Change a second from the oldest sample to the newest.
    pub fn rate(&self, now: Timestamp) -> Option<f64> {
        let samples = self.blocks.iter().flat_map(|block| &block.samples);
        let (first_at, first) = *samples.into_iter().find(|(at, _)| !is_old(*at, now, self.length_ms))?;
        let (last_at, last) = self.newest()?;
        let ms = last_at.as_millis() - first_at.as_millis();
        (ms > 0).then(|| (last - first) * 1_000.0 / ms as f64)
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn heap_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>() + self.blocks.iter().map(|b| b.samples.capacity() * 16).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    /// The same by hand, from all samples ever put.
    fn recomputed(all: &[(i64, f64)], now: i64, length: i64) -> Vec<(i64, f64)> {
        let mut held: Vec<(i64, f64)> = all.iter().copied().filter(|(at, _)| now - at < length).collect();
        held.sort_by_key(|(at, _)| *at);
        held
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_window_is_what_a_recomputation_says(
            input in proptest::collection::vec((0i64..40, -30i64..30, -1e3f64..1e3), 1..500),
            length in 1i64..600,
        ) {
            let mut window = Window::new(length);
            let (mut all, mut now) = (Vec::new(), 1_000_000i64);
            for (step, off, value) in input {
                now += step;
                // Disordered: up to 30 ms before or after what is newest by now.
                let when = now + off.min(0);
                window.put(at(when), value);
                all.push((when, value));
                // Whether what is old is gone or only passed over is the same to who asks.
                if step % 2 == 0 {
                    window.expire(at(now));
                    prop_assert_eq!(window.held, recomputed(&all, now, length).len());
                }
                let held = recomputed(&all, now, length);
                let figures = window.figures(at(now));
                prop_assert_eq!(figures.count as usize, held.len());
                prop_assert!(window.blocks.iter().all(|b| !b.samples.is_empty() && b.samples.len() <= BLOCK_MAX));
                if held.is_empty() {
                    prop_assert_eq!((figures.avg(), figures.stddev(), window.rate(at(now))), (None, None, None));
                    continue;
                }
                let n = held.len() as f64;
                let sum: f64 = held.iter().map(|(_, v)| v).sum();
                let spread = (held.iter().map(|(_, v)| (v - sum / n).powi(2)).sum::<f64>() / n).sqrt();
                prop_assert!(near(figures.sum, sum) && near(figures.avg().unwrap(), sum / n), "{figures:?} {sum}");
                prop_assert!(near(figures.stddev().unwrap(), spread), "{figures:?} {spread}");
                prop_assert_eq!(figures.min, held.iter().map(|(_, v)| *v).fold(f64::INFINITY, f64::min));
                prop_assert_eq!(figures.max, held.iter().map(|(_, v)| *v).fold(f64::NEG_INFINITY, f64::max));
                let (first, last) = (held[0], held[held.len() - 1]);
                let rate = (last.0 > first.0).then(|| (last.1 - first.1) * 1_000.0 / (last.0 - first.0) as f64);
                prop_assert_eq!(window.rate(at(now)), rate);
            }
        }
    }

    #[test]
    fn a_full_window_lets_go_of_the_oldest() {
        let mut window = Window::new(i64::MAX);
        for n in 0..WINDOW_SAMPLES_MAX as i64 + 10 {
            window.put(at(n), n as f64);
        }
        window.put(at(0), -1.0);
        let figures = window.figures(at(0));
        assert_eq!((figures.count, figures.min, window.dropped()), (WINDOW_SAMPLES_MAX as u64, 10.0, 11));
    }

    #[test]
    fn large_numbers_close_together_keep_their_deviation() {
        let mut window = Window::new(i64::MAX);
        (0..1_000).for_each(|n| window.put(at(n), 1e9 + (n % 2) as f64));
        assert!(near(window.figures(at(0)).stddev().unwrap(), 0.5));
    }
}
