//! One device: it raises an alert when it is too hot, and asks its room for air.

use twinfold::prelude::*;

/// Degrees Celsius above which it is too hot.
pub const LIMIT: f64 = 30.0;
/// It is well again this far below the limit, so that a reading that trembles around it raises one alert and not a hundred.
pub const CALM: f64 = 1.0;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Thermostat {
    alarmed: bool,
}

impl Behaviour for Thermostat {
    const MODEL: &'static str = "dtmi:example:Thermostat;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        let temperature = t.f64("temperature")?;
        if temperature > LIMIT && !self.alarmed {
            self.alarmed = true;
            cx.raise(Alert::warning("too-hot").text(format!("{temperature} °C")).with("limit", LIMIT));
            cx.command(cx.parent()?, "ventilate", json!({"level": 2})).ttl(Duration::from_secs(60));
        }
        if temperature < LIMIT - CALM && self.alarmed {
            self.alarmed = false;
            cx.clear("too-hot");
        }
        Ok(())
    }
}
