//! A door lock. Nobody wants a door to open an hour late: an unlock that the lock does not get in time is void, and a door that
//! was opened locks itself again.

use twinfold::prelude::*;

/// Longest an unlock may wait for the lock.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// A door stays unlocked for so long at most.
pub const OPEN_MAX: Duration = Duration::from_secs(10);
/// Wrong codes in a row that raise an alert.
pub const WRONG_CODES_MAX: u32 = 3;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct DoorLock {
    wrong_codes: u32,
}

impl Behaviour for DoorLock {
    const MODEL: &'static str = "dtmi:example:DoorLock;1";

    /// The inbox sees to it that a command which is over does not go down; that it is over soon is ours to see to.
    fn on_command(&mut self, c: &Command, cx: &mut Context) -> Result<Reply> {
        if c.name() == "unlock" && c.expires_at().since(cx.now()) > WAIT_MAX {
            let error = format!("an unlock may wait for {} s at most: give it a shorter ttl", WAIT_MAX.as_secs());
            return Ok(Reply::failed(422, json!({"error": error})));
        }
        Ok(Reply::PassOn)
    }

    fn on_reported(&mut self, r: &Reported, cx: &mut Context) -> Result<()> {
        match r.opt_bool("locked")? {
            Some(false) => cx.after("lock again", OPEN_MAX),
            Some(true) => {
                cx.cancel("lock again");
                cx.clear("not-locked");
            }
            None => {}
        }
        Ok(())
    }

    fn on_timer(&mut self, t: &Timer, cx: &mut Context) -> Result<()> {
        match t.name {
            "lock again" => {
                cx.command(cx.id(), "lock", json!({})).ttl(OPEN_MAX);
                cx.after("is it locked?", OPEN_MAX);
            }
            _ if cx.reported().opt_bool("locked")? == Some(false) => {
                cx.raise(Alert::critical("not-locked").text("the door stays unlocked"));
            }
            _ => {}
        }
        Ok(())
    }

    fn on_event(&mut self, e: &Event, cx: &mut Context) -> Result<()> {
        match e.name() {
            "wrong-code" => {
                self.wrong_codes += 1;
                if self.wrong_codes >= WRONG_CODES_MAX {
                    cx.raise(Alert::warning("tampering").with("wrong_codes", self.wrong_codes));
                }
            }
            "right-code" => {
                self.wrong_codes = 0;
                cx.clear("tampering");
            }
            _ => {}
        }
        Ok(())
    }
}
