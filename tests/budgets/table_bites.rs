//! Shows the table a dearer figure: a budget that cannot be broken is none.

use std::panic;

use crate::{
    counting,
    table::{self, ALLOCATIONS, BUDGETS, WINDOW_16},
};

#[test]
fn a_figure_beyond_its_budget_is_refused_with_what_and_by_how_much() {
    let _turn = counting::alone();
    let budget = table::find(WINDOW_16, ALLOCATIONS);
    let refused = budget.judge(budget.at_most * 1.25).unwrap_err();
    assert!(refused.contains(WINDOW_16) && refused.contains("25 % beyond"), "{refused}");
    assert!(budget.judge(budget.at_most).is_ok());
    assert!(panic::catch_unwind(|| table::hold(&[(WINDOW_16, ALLOCATIONS, budget.at_most + 1.0)])).is_err());
}

#[test]
fn a_figure_far_below_its_budget_asks_for_a_lower_one() {
    let _turn = counting::alone();
    let budget = table::find(WINDOW_16, ALLOCATIONS);
    assert!(budget.judge(budget.at_most / 2.0).unwrap().contains("lower the budget"));
}

#[test]
fn no_budget_leaves_room_for_much_more_than_was_measured() {
    let _turn = counting::alone();
    for budget in &BUDGETS {
        let room = budget.at_most / budget.measured;
        assert!((1.0..1.25).contains(&room), "{} of {}: {:.2} × what was measured", budget.unit, budget.of, room);
    }
}
