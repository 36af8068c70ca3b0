//! A pump that asks for maintenance before it fails, and has its neighbours take over.
//!
//! It watches the trend of its vibration (`{"vibration": 2.8}`, mm/s): a bearing that wears shakes a little more every day. When a
//! straight line through the last day's hours reaches the limit within [`NOTICE_HOURS`], it raises `maintenance`, emits an event for whoever plans
//! the work, and sends `take-over` to the pumps that its metadata names: `{"neighbours": ["p2", "p3"]}`.

mod trend;

pub use trend::Trend;
use twinfold::prelude::*;

/// Vibration at which a pump must stop, mm/s.
pub const LIMIT: f64 = 7.1;
/// Hours ahead at which it asks for maintenance.
pub const NOTICE_HOURS: f64 = 72.0;
/// A neighbour that is away has so long to take over.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Pump {
    trend: Trend,
    /// It has asked for maintenance, and nobody has come yet.
    asked: bool,
}

impl Behaviour for Pump {
    const MODEL: &'static str = "dtmi:example:Pump;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        // A pump that stands does not shake, and says nothing of its bearings.
        let Some(vibration) = t.opt_f64("vibration")?.filter(|v| *v > 0.0) else { return Ok(()) };
        self.trend.add(t.at(), vibration);
        if vibration >= LIMIT {
            cx.raise(Alert::critical("vibration").text("stop the pump").with("vibration", vibration));
        }
        if let Some(hours) = self.trend.hours_until(LIMIT).filter(|hours| *hours <= NOTICE_HOURS && !self.asked) {
            self.asked = true;
            self.ask_for_maintenance(hours, cx)?;
        }
        Ok(())
    }

    /// A pump that is about to be taken out of service takes nothing over; else its device decides.
    fn on_command(&mut self, c: &Command, _: &mut Context) -> Result<Reply> {
        match c.name() {
            "take-over" if self.asked => Ok(Reply::failed(409, json!({"error": "this pump waits for maintenance itself"}))),
            _ => Ok(Reply::PassOn),
        }
    }

    /// The device says that it was serviced.
    fn on_event(&mut self, e: &Event, cx: &mut Context) -> Result<()> {
        if e.name() == "serviced" {
            *self = Self::default();
            cx.clear("maintenance");
            cx.clear("vibration");
        }
        Ok(())
    }
}

impl Pump {
    fn ask_for_maintenance(&self, hours: f64, cx: &mut Context) -> Result<()> {
        let hours = hours.round();
        cx.raise(Alert::warning("maintenance").text(format!("it reaches {LIMIT} mm/s in {hours} hours")).with("hours", hours));
        cx.emit("maintenance-requested", json!({"hours": hours}));
        let neighbours = cx.metadata().get("neighbours").unwrap_or_default();
        for neighbour in neighbours.as_array().into_iter().flatten().filter_map(Value::as_str) {
            cx.command(neighbour.parse()?, "take-over", json!({"from": cx.id()})).ttl(TAKE_OVER_WITHIN);
        }
        Ok(())
    }
}
