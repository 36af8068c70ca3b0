//! The actix actor that stands for a thread: what other threads say to its twins comes through here.

use std::rc::{Rc, Weak};

use actix::{Actor, Context, Handler, Message};

use super::Host;
use crate::{envelope::Envelope, seats::Seat};

pub struct Door {
    host: Weak<Host>,
}

impl Door {
    pub fn new(host: &Rc<Host>) -> Self {
        Self { host: Rc::downgrade(host) }
    }
}

impl Actor for Door {
    type Context = Context<Self>;
}

/// A letter and the seat it is for.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Letter {
    pub seat: Seat,
    pub envelope: Envelope,
}

impl Handler<Letter> for Door {
    type Result = ();

    fn handle(&mut self, letter: Letter, _: &mut Context<Self>) {
        match self.host.upgrade() {
            Some(host) => host.deliver(letter.seat, letter.envelope),
            None => drop(letter),
        }
    }
}
