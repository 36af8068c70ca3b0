//! The budgets: what each figure may come to, and what it came to when the budget was set.
//!
//! They only go down. A change that makes something dearer is changed until it does not; a change that makes it cheaper lowers the
//! budget in the same commit, so that the gain is kept: allocations to half a one above the new figure, for they hardly differ from run
//! to run and one more a message must not pass; anything else to about 15 % above it.

pub struct Budget {
    pub of: &'static str,
    pub unit: &'static str,
    pub at_most: f64,
    /// In a debug build, unless the unit is instructions.
    pub measured: f64,
    pub on: &'static str,
}

const fn budget(of: &'static str, unit: &'static str, at_most: f64, measured: f64, on: &'static str) -> Budget {
    Budget { of, unit, at_most, measured, on }
}

pub const WINDOW_1: &str = "a message, QoS 1, window 1";
pub const WINDOW_16: &str = "a message, QoS 1, window 16";
pub const QOS_0: &str = "a message, QoS 0";
pub const TWIN: &str = "a resident twin with ten values";
pub const TWIN_IN_ROOM: &str = "the same, one of a hundred in a room";
pub const READ: &str = "a read of a twin with ten values, unchanged";
pub const CHANGED_READ: &str = "a read of a twin that has just changed";
pub const CONNECTION: &str = "a connected device with its twin";

pub const ALLOCATIONS: &str = "allocations";
pub const ALLOCATED: &str = "bytes allocated";
pub const HELD: &str = "bytes held";
pub const INSTRUCTIONS: &str = "instructions";

// A table is read by its rows.
#[rustfmt::skip]
pub const BUDGETS: [Budget; 17] = [
    //     of            unit            at most  measured  on
    budget(WINDOW_1,     ALLOCATIONS,       26.6,     26.1, "2026-11-21"),
    budget(WINDOW_1,     ALLOCATED,       2940.0,   2555.0, "2026-11-21"),
    budget(WINDOW_16,    ALLOCATIONS,       11.0,     10.5, "2026-11-21"),
    budget(WINDOW_16,    ALLOCATED,       1810.0,   1577.0, "2026-11-21"),
    budget(QOS_0,        ALLOCATIONS,       10.2,      9.5, "2026-11-21"),
    budget(QOS_0,        ALLOCATED,       1840.0,   1601.0, "2026-11-21"),
    budget(READ,         ALLOCATIONS,       15.6,     15.1, "2026-11-21"),
    budget(READ,         ALLOCATED,       4490.0,   3902.0, "2026-11-21"),
    budget(CHANGED_READ, ALLOCATIONS,       33.6,     33.1, "2026-11-21"),
    budget(CHANGED_READ, ALLOCATED,      17870.0,  15547.0, "2026-11-21"),
    budget(TWIN,         HELD,            1480.0,   1286.0, "2026-11-21"),
    budget(TWIN_IN_ROOM, HELD,            2090.0,   1826.0, "2026-11-21"),
    budget(CONNECTION,   HELD,            4410.0,   3838.0, "2026-11-21"),
    budget(WINDOW_1,     INSTRUCTIONS,  52000.0,  46000.0, "2026-11-21"),
    budget(WINDOW_16,    INSTRUCTIONS,  27300.0,  23750.0, "2026-11-21"),
    budget(READ,         INSTRUCTIONS,  44000.0,  38000.0, "2026-11-21"),
    budget(CHANGED_READ, INSTRUCTIONS, 115000.0, 100000.0, "2026-11-21"),
];

/// How far below its budget a figure may lie before it is said that the budget could be lower.
const SLACK_MAX: f64 = 0.3;

impl Budget {
    /// What the figure comes to beside the budget; an error when it is beyond it.
    pub fn judge(&self, figure: f64) -> Result<String, String> {
        let Self { of, unit, at_most, measured, on } = self;
        let line = format!("{of}: {figure:.1} {unit}, budget {at_most:.1} ({measured:.1} on {on})");
        if figure > *at_most {
            let beyond = 100.0 * (figure / at_most - 1.0);
            return Err(format!(
                "{line}: {beyond:.0} % beyond it.\n    Find what this change added and take it out again, or save as much elsewhere on the same way; \
                 budgets are not raised (docs/TESTING.md, \"Budgets\", says how to see who allocates)."
            ));
        }
        let slack = figure < at_most * (1.0 - SLACK_MAX);
        Ok(if slack { format!("{line}: lower the budget in tests/budgets/table.rs, so that the gain is kept") } else { line })
    }
}

pub fn find(of: &str, unit: &str) -> &'static Budget {
    BUDGETS.iter().find(|b| b.of == of && b.unit == unit).unwrap_or_else(|| panic!("no budget for {unit} of {of}"))
}

/// Prints every figure beside its budget, then fails with those that are beyond theirs.
pub fn hold(figures: &[(&str, &str, f64)]) {
    let judged: Vec<_> = figures.iter().map(|(of, unit, figure)| find(of, unit).judge(*figure)).collect();
    for line in &judged {
        println!("{}", line.as_ref().unwrap_or_else(|line| line));
    }
    let broken: Vec<String> = judged.into_iter().filter_map(Result::err).collect();
    assert!(broken.is_empty(), "budgets broken: {}\n  {}\n", broken.len(), broken.join("\n  "));
}
