//! What a twin in memory is asked and defines: what follows for it and for those below it.

use std::sync::Arc;

use hierarchy_models::rollup::{Aggregate, Asking, Asks, Contribution, Results, RollupSet};

use super::seen::Seen;
use crate::{
    body::Body,
    twin::{TwinState, view::view},
    view::TwinView,
};

/// The roll-ups in force on a twin, with their texts.
#[derive(Debug, Clone)]
pub struct Definitions {
    /// Those that it defines itself.
    pub own: Arc<RollupSet>,
    /// Those of its model; one of the same name among its own goes before it.
    pub inherited: Arc<RollupSet>,
    /// The twin's version with them.
    pub version: u64,
}

impl Body {
    /// What this twin and everything below it come to, and its answers to what it is asked.
    pub fn contribution(&self) -> Contribution {
        let mut contribution = self.below().contribution(self.state.own_contribution());
        if let Some(asked) = self.asking.as_deref().and_then(Asking::asked) {
            let is_connected = self.state.connection.connected;
            let known = self.runtime().models.known();
            let seen = Seen { twin: &self.state, models: &known, is_connected };
            contribution.answers = Some(Box::new(self.below().answers(asked, &seen, &self.results())));
        }
        contribution
    }

    /// Its defined roll-ups as they stand.
    pub fn results(&self) -> Results {
        let defined = self.asking.as_deref().and_then(Asking::defined);
        defined.map_or_else(Results::default, |defined| defined.results(self.below()))
    }

    /// Tells whether there is anything new to say, upward or to live readers.
    pub fn fingerprint(&self, contribution: &Contribution) -> u64 {
        let upward = contribution.fingerprint();
        if self.asking.is_some() { upward ^ self.results().fingerprint().rotate_left(1) } else { upward }
    }

    pub fn view(&self) -> TwinView {
        self.view_of(&self.state)
    }

    /// With another state of it than the one in memory.
    pub fn view_of(&self, state: &TwinState) -> TwinView {
        view(&self.id, &self.path, state, self.below(), &self.results())
    }

    pub fn definitions(&self) -> Definitions {
        let own = self.state.rollups().cloned().unwrap_or_default();
        let inherited = self.runtime().models.known().rollups_of(&self.state.model).cloned().unwrap_or_default();
        Definitions { own, inherited, version: self.state.version }
    }

    /// What is below it, to be changed; made when there was nothing.
    pub fn below_mut(&mut self) -> &mut Aggregate {
        let asks = self.asking.as_deref().and_then(Asking::down);
        self.below.get_or_insert_with(|| {
            let mut below = Box::<Aggregate>::default();
            below.ask(asks.cloned());
            below
        })
    }

    /// Whether somebody below has not answered what is asked now.
    pub fn awaits_answers(&self) -> bool {
        self.below.as_deref().is_some_and(Aggregate::awaits_any)
    }

    /// Takes what the parent asks from now on; whether somebody below must be asked for it.
    pub fn adopt(&mut self, asks: Option<Arc<Asks>>) -> bool {
        if asks.is_none() && self.asking.is_none() {
            return false;
        }
        self.asking.get_or_insert_default().adopt(asks);
        self.ask_anew()
    }

    /// What is defined on it may have changed. The next tick asks those below.
    pub fn redefine(&mut self) {
        let defined = self.runtime().models.known().rollups_in_force(&self.state);
        if defined.is_none() && self.asking.is_none() {
            return;
        }
        self.asking.get_or_insert_default().define(defined);
        self.ask_anew();
    }

    fn ask_anew(&mut self) -> bool {
        let asks = self.asking.as_deref().and_then(Asking::down).cloned();
        if self.asking.as_deref().is_some_and(Asking::is_nothing) {
            self.asking = None;
        }
        if let Some(below) = self.below.as_deref_mut() {
            below.ask(asks);
        }
        self.awaits_answers()
    }
}
