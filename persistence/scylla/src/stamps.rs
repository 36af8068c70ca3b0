//! Timestamps of what is written behind the journal: the owner's epoch, then a count.
//!
//! Of two writes of a cell the servers keep the one with the later timestamp. With a clock for it, a former owner that has not noticed
//! yet would win by writing last; with its epoch in front, whatever it sends is older. Every request uses a stamp up when it is sent,
//! whatever becomes of it: of two writes with one stamp the servers keep the larger bytes, cell by cell.
//!
//! ScyllaDB refuses timestamps of the future, so there are 50 bits, which end in 2005. When half of its counts are used, the owner takes
//! the next epoch from the first log (`crate::journal::watch`). A count for each twin lost: it has to be known which one was sent last.

use std::sync::atomic::{AtomicI64, Ordering};

use persistence::Error;
use scylla::policies::timestamp_generator::TimestampGenerator;

const EPOCH_BITS: u32 = 24;
const COUNT_BITS: u32 = 26;
const _: () = assert!(EPOCH_BITS + COUNT_BITS == 50);
const COUNTS: i64 = 1 << COUNT_BITS;
/// Counts that are left for what is under way already when no further write is begun.
const COUNTS_SPARED: i64 = 1 << 20;

#[derive(Debug, Default)]
pub struct Stamps {
    first: AtomicI64,
    next: AtomicI64,
}

impl Stamps {
    /// All stamps from here on are of this epoch, or of a later one.
    pub fn begin(&self, epoch: u64) -> Result<(), Error> {
        if epoch >> EPOCH_BITS != 0 {
            return Err(Error::Refused(format!("the keyspace was taken over {epoch} times: more cannot be told apart")));
        }
        let first = (epoch as i64) << COUNT_BITS;
        self.first.fetch_max(first, Ordering::SeqCst);
        self.next.fetch_max(first, Ordering::SeqCst);
        Ok(())
    }

    fn used(&self) -> i64 {
        let first = self.first.load(Ordering::SeqCst);
        self.next.load(Ordering::SeqCst) - first
    }

    /// Whether it is time for the next epoch.
    pub fn wants_epoch(&self) -> bool {
        self.used() > COUNTS / 2
    }

    /// Whether a write may be begun.
    pub fn check(&self, doing: &'static str) -> Result<(), Error> {
        if self.used() < COUNTS - COUNTS_SPARED {
            return Ok(());
        }
        Err(Error::Unavailable { doing, detail: "the counts of this epoch are used up, and there is no next epoch yet".into() })
    }
}

impl TimestampGenerator for Stamps {
    fn next_timestamp(&self) -> i64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_epoch(epoch: u64) -> Stamps {
        let stamps = Stamps::default();
        stamps.begin(epoch).unwrap();
        stamps
    }

    #[test]
    fn no_two_requests_share_a_stamp() {
        let stamps = of_epoch(7);
        let taken: Vec<i64> = (0..1_000).map(|_| stamps.next_timestamp()).collect();
        assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_a_former_owner_sends_is_older_however_much_it_has_sent() {
        let (former, present) = (of_epoch(4), of_epoch(5));
        former.next.fetch_add(COUNTS - 1, Ordering::SeqCst);
        assert!(former.next_timestamp() < present.next_timestamp());
    }

    #[test]
    fn stamps_lie_before_today() {
        let stamps = of_epoch((1 << EPOCH_BITS) - 1);
        stamps.next.fetch_add(COUNTS - 1, Ordering::SeqCst);
        let begin_of_2006 = 1_136_073_600_000_000;
        assert!(stamps.next_timestamp() < begin_of_2006);
        assert!(Stamps::default().begin(1 << EPOCH_BITS).is_err());
    }

    #[test]
    fn an_epoch_that_is_used_up_takes_no_write_until_the_next_one() {
        let stamps = of_epoch(4);
        assert!(!stamps.wants_epoch() && stamps.check("a test").is_ok());
        stamps.next.fetch_add(COUNTS / 2 + 1, Ordering::SeqCst);
        assert!(stamps.wants_epoch() && stamps.check("a test").is_ok());
        stamps.next.fetch_add(COUNTS / 2 - COUNTS_SPARED, Ordering::SeqCst);
        assert!(stamps.check("a test").is_err());
        stamps.begin(5).unwrap();
        assert!(!stamps.wants_epoch() && stamps.check("a test").is_ok());
    }
}
