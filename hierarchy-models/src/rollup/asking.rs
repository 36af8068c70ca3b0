//! What a twin is asked from above, what it defines, and what it therefore asks of those below.
//!
//! Asks only ever go down and answers only ever go up, so no definition can depend on itself, whatever it names.

use std::sync::Arc;

use super::{ask::Asks, definition::RollupSet};

#[derive(Debug, Clone, Default)]
pub struct Asking {
    asked: Option<Arc<Asks>>,
    defined: Option<Arc<RollupSet>>,
    down: Option<Arc<Asks>>,
}

impl Asking {
    pub fn new(asked: Option<Arc<Asks>>, defined: Option<Arc<RollupSet>>) -> Self {
        let mut this = Self { asked, defined, down: None };
        this.renew();
        this
    }

    /// What its parent asks of it.
    pub fn asked(&self) -> Option<&Arc<Asks>> {
        self.asked.as_ref()
    }

    /// The definitions in force on it: its own, and those of its model.
    pub fn defined(&self) -> Option<&Arc<RollupSet>> {
        self.defined.as_ref()
    }

    /// What it asks of its children.
    pub fn down(&self) -> Option<&Arc<Asks>> {
        self.down.as_ref()
    }

    /// Whether it might as well not be there.
    pub fn is_nothing(&self) -> bool {
        self.asked.is_none() && self.defined.is_none()
    }

    /// Takes what the parent asks from now on; whether that changes what it asks of those below.
    pub fn adopt(&mut self, asked: Option<Arc<Asks>>) -> bool {
        self.asked = asked;
        self.renew()
    }

    /// Takes the definitions in force from now on; whether that changes what it asks of those below.
    pub fn define(&mut self, defined: Option<Arc<RollupSet>>) -> bool {
        self.defined = defined;
        self.renew()
    }

    fn renew(&mut self) -> bool {
        let down = Asks::below(self.asked.as_deref(), self.defined.as_deref());
        let is_new = self.down.as_deref() != down.as_ref();
        if is_new {
            self.down = down.map(Arc::new);
        }
        is_new
    }
}
