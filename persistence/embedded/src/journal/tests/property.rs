//! Any sequence of appends, failures, trims, tears and starts gives back exactly the committed frames.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// The frame is written, its sync fails.
    FailedAppend(usize),
    /// This share of what is committed is projected.
    Trim(f64),
    Probe,
    Reopen,
    /// A crash in the middle of a commit: of the frame's bytes only those at `from..to`, by share, reached the disk.
    Crash {
        bytes: usize,
        from: f64,
        to: f64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![8 => 1usize..300, 1 => 300usize..2_500];
    prop_oneof![
        12 => size().prop_map(Step::Append),
        2 => size().prop_map(Step::FailedAppend),
        3 => (0.0..=1.0).prop_map(Step::Trim),
        1 => Just(Step::Probe),
        2 => Just(Step::Reopen),
        3 => (size(), 0.0..0.5, 0.2..1.0).prop_map(|(bytes, from, to)| Step::Crash { bytes, from, to }),
    ]
}

/// The journal and what it must hold.
struct Model {
    place: Place,
    segments: Segments,
    checkpoint: u64,
    frames: Vec<(u64, Vec<u8>)>,
    salt: u64,
}

impl Model {
    fn take(&mut self, step: Step) {
        self.salt += 1;
        match step {
            Step::Append(bytes) => {
                if let Some(id) = self.append(bytes) {
                    self.frames.push((id, data(self.salt, bytes)));
                }
            }
            Step::FailedAppend(bytes) => {
                self.segments.failing_syncs = 1;
                assert!(append(&mut self.segments, self.salt, bytes).is_err());
                self.segments.failing_syncs = 0;
            }
            Step::Trim(share) => {
                let through = (self.segments.next_id() - 1 - self.checkpoint) as f64 * share;
                self.checkpoint += through as u64;
                trim(&mut self.segments, self.checkpoint);
            }
            Step::Probe => {
                let probed = self.segments.probe();
                assert!(probed.is_ok() || self.place.limits.bytes_max.is_some(), "{probed:?}");
            }
            Step::Reopen => {}
            Step::Crash { bytes, from, to } => self.crash(bytes, from, to),
        }
    }

    /// The frame's id, or none when there was no room, which only a bound can be the reason of.
    fn append(&mut self, bytes: usize) -> Option<u64> {
        match append(&mut self.segments, self.salt, bytes) {
            Ok(id) => Some(id),
            Err(Error::Full { .. }) if self.place.limits.bytes_max.is_some() => None,
            Err(other) => panic!("{other}"),
        }
    }

    fn crash(&mut self, bytes: usize, from: f64, to: f64) {
        let before: Vec<_> = self.place.files().into_iter().map(|first| (first, self.place.bytes(first))).collect();
        let Some(id) = self.append(bytes) else { return };
        let last = *self.place.files().last().unwrap();
        let mut file = self.place.bytes(last);
        let end = self.segments.shelf.change(|segments| segments.back().map(|last| last.end())).unwrap() as usize;
        let start = end - bytes - HEAD_BYTES;
        let old = before.into_iter().find(|(first, _)| *first == last).map_or(Vec::new(), |(_, file)| file);
        let at = |share: f64| start + ((bytes + HEAD_BYTES - 1) as f64 * share) as usize;
        let written = file.clone();
        for n in (start..end).filter(|n| *n < at(from) || *n >= at(to)) {
            file[n] = old.get(n).copied().unwrap_or(0);
        }
        // What lay there before may be just what was to be written: then the frame is whole, and a start finds it.
        if file == written {
            self.frames.push((id, data(self.salt, bytes)));
        }
        self.place.set_bytes(last, &file);
        self.segments = self.place.open(self.checkpoint);
    }

    fn check(&mut self) {
        self.frames.retain(|(id, _)| *id > self.checkpoint);
        assert_eq!(frames(&self.segments, self.checkpoint), self.frames);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_comes_back_whatever_happened_before(
        steps in proptest::collection::vec(step(), 1..60),
        bytes_max in prop_oneof![Just(None), (1_200u64..6_000).prop_map(Some)],
    ) {
        let place = Place::with(Limits { bytes_max, ..SMALL });
        let mut model = Model { segments: place.open(0), place, checkpoint: 0, frames: Vec::new(), salt: 0 };
        for step in steps {
            let reopens = matches!(step, Step::Reopen);
            model.take(step);
            if reopens {
                model.segments = model.place.open(model.checkpoint);
            }
            model.check();
        }
        model.segments = model.place.open(model.checkpoint);
        model.check();
        let end = model.frames.last().map_or(model.checkpoint, |(id, _)| *id);
        prop_assert_eq!(end, model.segments.next_id() - 1);
        // Whatever the bound: when all is projected there is room for a frame again.
        trim(&mut model.segments, end);
        prop_assert!(append(&mut model.segments, 0, 900).is_ok());
    }
}
