//! What defined roll-ups allocate: for a changed device and a tick, four levels deep, without any and with eight on the site.

#[allow(dead_code)] // what only the timed program shows
#[path = "../../hierarchy-models/examples/rollup_speed/site.rs"]
mod site;

use crate::{
    counting,
    table::{self, ALLOCATIONS, TICK, TICK_DEFINED},
};
use site::{DEFINITIONS, Path};

const TICKS: usize = 1_000;

#[test]
fn a_change_four_levels_deep_allocates_no_more_than_its_budget() {
    let _turn = counting::alone();
    table::hold(&[(TICK, ALLOCATIONS, a_tick(0)), (TICK_DEFINED, ALLOCATIONS, a_tick(DEFINITIONS.len()))]);
}

fn a_tick(definitions: usize) -> f64 {
    let mut path = Path::new(definitions);
    let mut run = || {
        let before = counting::now();
        for n in 0..TICKS {
            path.report((n % 100) as f64);
            path.tick();
        }
        (counting::now() - before).calls as f64 / TICKS as f64
    };
    run();
    run()
}
