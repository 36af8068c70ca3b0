//! A vehicle: it knows its trips, says when it leaves the place it belongs to, when it brakes hard, and when it falls silent on
//! the road.
//!
//! Telemetry is `{"speed": 52.0, "lat": 59.3293, "lon": 18.0686}` (km/h, degrees). Its metadata may name a fence: `{"fence": {"lat": 59.33,
//! "lon": 18.07, "km": 25}}`.

mod position;

pub use position::Position;
use twinfold::prelude::*;

/// Slower is standing, km/h.
const STANDING: f64 = 2.0;
/// A trip is over when the vehicle has stood for so long.
pub const STOP: Duration = Duration::from_secs(5 * 60);
/// Nothing is heard of a vehicle on a trip for so long.
pub const SILENCE: Duration = Duration::from_secs(10 * 60);
/// Loss of speed that is hard braking, km/h a second.
const HARD: f64 = 15.0;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Vehicle {
    trip: Option<Trip>,
    last: Option<Reading>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Trip {
    started: Timestamp,
    km: f64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Reading {
    at: Timestamp,
    speed: f64,
    position: Position,
}

impl Behaviour for Vehicle {
    const MODEL: &'static str = "dtmi:example:Vehicle;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        let position = Position { lat: t.f64("lat")?, lon: t.f64("lon")? };
        let now = Reading { at: t.at(), speed: t.f64("speed")?, position };
        // A radio that was out of reach sends what it kept, and not always in order.
        if self.last.is_some_and(|last| last.at >= now.at) {
            return Ok(());
        }
        self.travel(now, cx);
        self.watch_fence(position, cx)?;
        if let Some(last) = self.last.replace(now) {
            let seconds = now.at.since(last.at).as_secs_f64();
            if seconds <= 5.0 && (last.speed - now.speed) / seconds > HARD {
                cx.emit("hard-braking", json!({"from": last.speed, "to": now.speed}));
            }
        }
        Ok(())
    }

    fn on_timer(&mut self, t: &Timer, cx: &mut Context) -> Result<()> {
        match t.name {
            "stopped" => self.end_trip(cx),
            _ if self.trip.is_some() => cx.raise(Alert::warning("silent").text("nothing is heard of it on the road")),
            _ => {}
        }
        Ok(())
    }
}

impl Vehicle {
    fn travel(&mut self, now: Reading, cx: &mut Context) {
        cx.clear("silent");
        if now.speed > STANDING {
            if self.trip.is_none() {
                self.trip = Some(Trip { started: now.at, km: 0.0 });
                cx.emit("trip-started", json!({"lat": now.position.lat, "lon": now.position.lon}));
            }
            cx.cancel("stopped");
        }
        let Some(trip) = &mut self.trip else { return };
        cx.after("silent", SILENCE);
        if let Some(last) = self.last {
            trip.km += last.position.km_to(now.position);
            if now.speed <= STANDING && last.speed > STANDING {
                cx.after("stopped", STOP);
            }
        }
    }

    fn end_trip(&mut self, cx: &mut Context) {
        cx.cancel("silent");
        if let (Some(trip), Some(last)) = (self.trip.take(), self.last) {
            let minutes = last.at.since(trip.started).as_secs() / 60;
            cx.emit("trip-ended", json!({"km": (trip.km * 10.0).round() / 10.0, "minutes": minutes}));
        }
    }

    fn watch_fence(&self, position: Position, cx: &mut Context) -> Result<()> {
        let Some(fence) = cx.metadata().get("fence") else { return Ok(()) };
        let of = |name: &str| fence[name].as_f64().ok_or_else(|| Error::new(format!("the fence has no number {name:?}")));
        let away = Position { lat: of("lat")?, lon: of("lon")? }.km_to(position);
        if away <= of("km")? {
            cx.clear("outside-fence");
        } else if !cx.has_alert("outside-fence") {
            cx.raise(Alert::warning("outside-fence").with("km", away.round()));
        }
        Ok(())
    }
}
