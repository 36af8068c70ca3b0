//! Defined roll-ups against a recomputation: trees that change at random, kept up incrementally, compared with plain loops over all twins.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "rollups/random.rs"]
mod random;
#[path = "rollups/recomputed.rs"]
mod recomputed;
#[path = "rollups/world.rs"]
mod world;

use hierarchy_models::{Value, rollup::Computed};
use random::Random;
use recomputed::{DEFINITIONS, Plain, recompute};
use world::World;

const TREES: u64 = 100;
const OPERATIONS: usize = 1_000;
/// A wrong figure stays wrong until something else changes it: not every step has to be looked at.
const COMPARE_ONE_EVERY: usize = 4;
const COMPARE_ALL_EVERY: usize = 100;

/// Sums of values that stand exactly in binary are the same in any order; what is made of means is compared to nine digits.
fn is_same(name: &str, kept: &Computed, plain: &Plain) -> bool {
    let is_exact = DEFINITIONS.iter().any(|d| d.name == name && d.is_exact);
    let same_value = match (&kept.value, &plain.value) {
        (Value::Float(a), Value::Float(b)) if !is_exact => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        (a, b) => a == b,
    };
    same_value && (kept.count, kept.stale) == (plain.count, plain.stale)
}

fn compare(world: &World, n: usize, what: &str) {
    for (name, kept) in world.results(n).iter() {
        let plain = recompute(world, n, name);
        assert!(is_same(name, kept, &plain), "{what}: {name} of {n} is {kept:?}, recomputed {plain:?}");
    }
}

#[test]
fn whatever_happens_in_a_tree_its_figures_equal_a_recomputation() {
    for seed in 0..TREES {
        let mut random = Random::new(seed);
        let mut world = World::grown(&mut random);
        for step in 0..OPERATIONS {
            let what = format!("tree {seed}, step {step}, {}", world.change(&mut random));
            let one = random.below(world.twins.len());
            if step % COMPARE_ALL_EVERY == 0 {
                (0..world.twins.len()).for_each(|n| compare(&world, n, &what));
            } else if step % COMPARE_ONE_EVERY == 0 {
                compare(&world, one, &what);
            }
        }
    }
}

#[test]
fn a_deleted_definition_is_asked_of_nobody_any_more() {
    let mut random = Random::new(7);
    let mut world = World::grown(&mut random);
    for _ in 0..200 {
        world.change(&mut random);
    }
    for n in 0..world.twins.len() {
        world.define(n, &[]);
    }
    for (n, twin) in world.twins.iter().enumerate() {
        assert!(twin.asking.is_nothing() && twin.below.asks().is_none() && !twin.below.awaits_any(), "twin {n} is asked");
        assert!(world.contribution(n).answers.is_none());
    }
}
