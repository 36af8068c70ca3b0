//! A room has no device of its own. It acts on what its thermostats come to, and on what it is asked for.
//!
//! Its metadata names the fan (`{"fan": "fan-7"}`), its desired properties the temperature to hold (`{"target": 21}`).

use twinfold::prelude::*;

const TARGET: f64 = 21.0;
/// Degrees beyond the target at which the fan starts; it stops at the target itself.
const SLACK: f64 = 2.0;
const LEVEL_MAX: i64 = 3;
/// Air that was asked for is given for this long.
const AIR: Duration = Duration::from_secs(10 * 60);

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Room {
    /// Of the fan, 0 when it stands.
    level: i64,
    /// Somebody has asked for air, and the time for it is not over.
    asked: bool,
}

impl Behaviour for Room {
    const MODEL: &'static str = "Room";

    fn on_children(&mut self, below: &Children, cx: &mut Context) -> Result<()> {
        let target = cx.desired().opt_f64("target")?.unwrap_or(TARGET);
        // Without one reading that is not stale there is nothing to act on.
        let Some(temperature) = below.avg("temperature") else { return Ok(()) };
        if temperature > target + SLACK && self.level == 0 {
            self.blow(1, cx)?;
        }
        if temperature <= target && self.level > 0 && !self.asked {
            self.blow(0, cx)?;
        }
        Ok(())
    }

    fn on_command(&mut self, c: &Command, cx: &mut Context) -> Result<Reply> {
        if c.name() != "ventilate" {
            return Ok(Reply::failed(404, json!({"error": "a room can ventilate"})));
        }
        let level = c.opt_i64("level")?.unwrap_or(1);
        if !(1..=LEVEL_MAX).contains(&level) {
            return Ok(Reply::failed(422, json!({"error": format!("level is 1 to {LEVEL_MAX}")})));
        }
        self.asked = true;
        self.blow(level.max(self.level), cx)?;
        cx.after("enough", AIR);
        Ok(Reply::completed(json!({"level": self.level})))
    }

    fn on_timer(&mut self, _: &Timer, cx: &mut Context) -> Result<()> {
        self.asked = false;
        self.blow(0, cx)
    }
}

impl Room {
    /// A room without a fan can only keep in mind what it would do.
    fn blow(&mut self, level: i64, cx: &mut Context) -> Result<()> {
        if level == self.level {
            return Ok(());
        }
        self.level = level;
        if let Some(fan) = cx.metadata().opt_str("fan")? {
            cx.command(fan.parse()?, "set-speed", json!({"level": level}));
        }
        Ok(())
    }
}
