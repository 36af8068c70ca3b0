//! Where a value goes: hourly means of the last day, and the straight line through them.

use std::collections::VecDeque;

use twinfold::prelude::*;

const HOUR_MS: i64 = 3_600_000;
/// Hours kept.
const HOURS_MAX: usize = 24;
/// Fewer hours say nothing.
const HOURS_MIN: usize = 6;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Trend {
    hours: VecDeque<Hour>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Hour {
    /// Since 1970.
    number: i64,
    sum: f64,
    count: u32,
}

impl Hour {
    fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

impl Trend {
    /// Takes a value in. One of an hour that is not the newest comes too late to count.
    pub fn add(&mut self, at: Timestamp, value: f64) {
        let number = at.as_millis().div_euclid(HOUR_MS);
        match self.hours.back_mut() {
            Some(newest) if newest.number > number => {}
            Some(newest) if newest.number == number => {
                newest.sum += value;
                newest.count += 1;
            }
            _ => {
                if self.hours.len() == HOURS_MAX {
                    self.hours.pop_front();
                }
                self.hours.push_back(Hour { number, sum: value, count: 1 });
            }
        }
    }

    /// Hours from the newest one until the line reaches `limit`; `None` when it does not rise, or too little is known.
    pub fn hours_until(&self, limit: f64) -> Option<f64> {
        let (first, last) = (self.hours.front()?, self.hours.back()?);
        if self.hours.len() < HOURS_MIN {
            return None;
        }
        let points = || self.hours.iter().map(|hour| ((hour.number - first.number) as f64, hour.mean()));
        let n = self.hours.len() as f64;
        let (x_mean, y_mean) = (points().map(|(x, _)| x).sum::<f64>() / n, points().map(|(_, y)| y).sum::<f64>() / n);
        let covariance: f64 = points().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
        let variance: f64 = points().map(|(x, _)| (x - x_mean).powi(2)).sum();
        let slope = covariance / variance;
        let now = y_mean + slope * ((last.number - first.number) as f64 - x_mean);
        (slope > 0.0).then(|| ((limit - now) / slope).max(0.0))
    }
}
