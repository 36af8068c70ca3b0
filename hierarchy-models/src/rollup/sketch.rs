//! Values counted in fixed buckets, for percentiles: merged and withdrawn exactly, and the same on every machine.
//!
//! A bucket is a 64th of a power of two: the exponent of a number and six bits of its mantissa say which, so no logarithm is worked out
//! and none is rounded differently elsewhere. Lost: t-digest and KLL (what they give depends on the order of merging, and nothing can be
//! taken out of them again), and sketches that join small buckets when they have many (what is joined cannot be withdrawn).

use std::hash::{Hash, Hasher};

/// Bits of the mantissa that tell the buckets of one power of two apart.
const FINE_BITS: u32 = 6;
const FINE: u16 = 1 << FINE_BITS;
/// Numbers nearer to zero than 2^-30 count as zero.
const LEAST_POWER: u16 = 30;
const LEAST: f64 = 1.0 / (1u64 << LEAST_POWER) as f64;
/// Powers of two that have buckets: up to 2^50. Whatever is larger counts in the last one.
const POWERS: u16 = 80;
const LAST: u16 = POWERS * FINE;

/// Buckets of a sketch at most: of both signs, and zero.
pub const SKETCH_BUCKETS_MAX: usize = 2 * LAST as usize + 1;
/// How far a percentile may lie from the value it stands for, as a part of that value, from 2^-30 to 2^50.
pub const RELATIVE_ERROR_MAX: f64 = 0.5 / FINE as f64;

/// How many of which size there are. 24 bytes, and 16 for each bucket that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(Vec<Bucket>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Bucket {
    /// 0 holds zero; 1 the smallest numbers above it, -1 the smallest below it.
    place: i16,
    count: u64,
}

fn place_of(value: f64) -> i16 {
    let size = value.abs();
    if size < LEAST {
        return 0;
    }
    let bits = size.to_bits();
    // The exponent of a number as it is stored is 1023 too large.
    let power = (bits >> 52) as u16 + LEAST_POWER - 1023;
    let fine = (bits >> (52 - FINE_BITS)) as u16 % FINE;
    let place = if power < POWERS { 1 + power * FINE + fine } else { LAST };
    if value < 0.0 { -(place as i16) } else { place as i16 }
}

/// The middle of a bucket.
fn value_at(place: i16) -> f64 {
    let Some(step) = place.unsigned_abs().checked_sub(1) else { return 0.0 };
    let power_of_two = (1u128 << (step / FINE)) as f64 * LEAST;
    let size = power_of_two * (1.0 + (f64::from(step % FINE) + 0.5) / f64::from(FINE));
    if place < 0 { -size } else { size }
}

impl Sketch {
    pub fn of(value: f64) -> Self {
        Self(vec![Bucket { place: place_of(value), count: 1 }])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Values in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|bucket| bucket.count).sum()
    }

    pub fn add(&mut self, other: &Self) {
        self.join(other, u64::saturating_add);
    }

    /// Takes out what was added before.
    pub fn subtract(&mut self, other: &Self) {
        self.join(other, u64::saturating_sub);
    }

    fn join(&mut self, other: &Self, join: fn(u64, u64) -> u64) {
        // A device has one value: its bucket is there already, or one is moved aside for it.
        if let [one] = other.0[..] {
            match self.0.binary_search_by_key(&one.place, |bucket| bucket.place) {
                Ok(at) => self.0[at].count = join(self.0[at].count, one.count),
                Err(at) => self.0.insert(at, Bucket { place: one.place, count: join(0, one.count) }),
            }
            self.0.retain(|bucket| bucket.count > 0);
            return;
        }
        let mut theirs = other.0.iter().peekable();
        let mut all = Vec::with_capacity(self.0.len() + other.0.len());
        for mine in &self.0 {
            while let Some(one) = theirs.next_if(|one| one.place < mine.place) {
                all.push(Bucket { place: one.place, count: join(0, one.count) });
            }
            let same = theirs.next_if(|one| one.place == mine.place).map_or(0, |one| one.count);
            all.push(Bucket { place: mine.place, count: join(mine.count, same) });
        }
        all.extend(theirs.map(|one| Bucket { place: one.place, count: join(0, one.count) }));
        all.retain(|bucket| bucket.count > 0);
        self.0 = all;
    }

    /// The value that `percent` of all values are not above, by nearest rank; `None` over nothing.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let count = self.count();
        let rank = (percent * count as f64 / 100.0).ceil().clamp(1.0, count.max(1) as f64) as u64;
        let mut before = 0;
        let bucket = self.0.iter().find(|bucket| {
            before += bucket.count;
            before >= rank
        });
        bucket.map(|bucket| value_at(bucket.place))
    }

    pub(super) fn print(&self, hasher: &mut impl Hasher) {
        self.0.hash(hasher);
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Bucket>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut all = Sketch::default();
        values.iter().for_each(|value| all.add(&Sketch::of(*value)));
        all
    }

    /// The same by sorting all values.
    fn nearest_rank(values: &[f64], percent: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent * sorted.len() as f64 / 100.0).ceil().max(1.0) as usize;
        sorted[rank - 1]
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -1000.0f64..1000.0,
            2 => (-30.0f64..49.9).prop_map(|power| power.exp2()),
            1 => (-30.0f64..49.9).prop_map(|power| -power.exp2()),
            1 => Just(0.0),
        ]
    }

    proptest! {
        #[test]
        fn a_percentile_lies_within_the_error_bound(values in prop::collection::vec(value(), 1..300), percent in 0u8..=100) {
            let percent = f64::from(percent);
            let (exact, told) = (nearest_rank(&values, percent), sketch(&values).percentile(percent).unwrap());
            let allowed = exact.abs() * RELATIVE_ERROR_MAX + LEAST;
            prop_assert!((told - exact).abs() <= allowed, "{told} for {exact}");
        }

        #[test]
        fn merging_in_any_order_and_withdrawing_leave_no_trace(
            a in prop::collection::vec(value(), 0..60),
            b in prop::collection::vec(value(), 0..60),
            c in prop::collection::vec(value(), 0..60),
        ) {
            let all: Vec<f64> = [&a[..], &b, &c].concat();
            let mut parts = sketch(&c);
            parts.add(&sketch(&a));
            parts.add(&sketch(&b));
            prop_assert_eq!(&parts, &sketch(&all));
            prop_assert_eq!(parts.count() as usize, all.len());
            parts.subtract(&sketch(&b));
            parts.subtract(&sketch(&c));
            prop_assert_eq!(parts, sketch(&a));
        }
    }

    #[test]
    fn numbers_beyond_the_range_count_in_the_outermost_buckets() {
        let wild = sketch(&[1e300, -1e300, f64::MAX, 1e-300, -0.0, 0.0]);
        assert_eq!((wild.count(), wild.0.len()), (6, 3));
        assert_eq!(wild.percentile(50.0), Some(0.0));
        assert_eq!(wild.percentile(0.0), Some(-wild.percentile(100.0).unwrap()));
        assert_eq!((place_of(LEAST), place_of(f64::INFINITY), place_of(-LEAST)), (1, LAST as i16, -1));
        assert_eq!(Sketch::default().percentile(50.0), None);
    }

    #[test]
    fn every_bucket_holds_its_own_middle() {
        let last = LAST as i16;
        assert!((-last..=last).all(|place| place_of(value_at(place)) == place));
        assert_eq!((-last..=last).count(), SKETCH_BUCKETS_MAX);
        assert!((-last..last).all(|place| value_at(place) < value_at(place + 1)));
    }
}
