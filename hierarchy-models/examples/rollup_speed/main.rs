//! What a change at the fourth level costs on its way to the top, without and with definitions there:
//! `cargo run --release -p hierarchy-models --example rollup_speed`

mod site;

use std::{hint::black_box, time::Instant};

use site::{DEFINITIONS, Path};

const TICKS: u32 = 200_000;
const RUNS: usize = 7;

fn main() {
    for definitions in [0, 1, DEFINITIONS.len()] {
        let mut path = Path::new(definitions);
        let mut runs = [0.0; RUNS];
        for run in &mut runs {
            let started = Instant::now();
            for n in 0..TICKS {
                path.report(f64::from(n % 100));
                black_box(path.tick());
            }
            *run = started.elapsed().as_nanos() as f64 / f64::from(TICKS);
        }
        runs.sort_unstable_by(f64::total_cmp);
        println!(
            "{definitions} definitions: {:.0} ns a changed device and tick, best of {RUNS} runs ({:.0} worst)",
            runs[0],
            runs[RUNS - 1]
        );
        for (name, result) in path.results().iter() {
            println!("    {name} = {:?} of {}", result.value, result.count);
        }
    }
}
