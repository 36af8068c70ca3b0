//! A freezer that says when its food thaws.

use twinfold::prelude::*;

/// Warmer is too warm, °C.
const WARM: f64 = -15.0;
/// Seconds that a door may stand open, unless the freezer's metadata says otherwise.
const PATIENCE: i64 = 600;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Freezer {
    warm: bool,
}

impl Behaviour for Freezer {
    const MODEL: &'static str = "dtmi:example:Freezer;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        let warm = t.f64("temperature")? > WARM;
        if warm && !self.warm {
            let patience = cx.metadata().opt_i64("patience")?.unwrap_or(PATIENCE);
            cx.after("thawing", Duration::from_secs(patience.unsigned_abs()));
        }
        if self.warm && !warm {
            cx.cancel("thawing");
            cx.clear("thawing");
        }
        self.warm = warm;
        Ok(())
    }

    fn on_timer(&mut self, _: &Timer, cx: &mut Context) -> Result<()> {
        let temperature = cx.telemetry().f64("temperature")?;
        cx.raise(Alert::critical("thawing").text(format!("{temperature} °C inside")));
        cx.command(cx.id(), "beep", json!({"seconds": 30}));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_door_may_stand_open_for_ten_minutes() {
        let mut kit = TwinTestKit::of::<Freezer>("f1");
        kit.telemetry(json!({"temperature": -10.0})).advance(9 * MINUTE);
        kit.expect_no_alert("thawing");
        kit.telemetry(json!({"temperature": -18.0})).advance(60 * MINUTE);
        kit.expect_no_alert("thawing");
    }

    #[test]
    fn food_that_thaws_raises_an_alert_until_it_is_cold_again() {
        let mut kit = TwinTestKit::of::<Freezer>("f1");
        kit.telemetry(json!({"temperature": -10.0})).advance(10 * MINUTE);
        assert_eq!(kit.expect_alert("thawing").text, "-10 °C inside");
        kit.expect_waiting("beep");
        kit.telemetry(json!({"temperature": -16.0}));
        kit.expect_no_alert("thawing");
    }

    #[test]
    fn a_power_cut_does_not_stop_the_clock() {
        let mut kit = TwinTestKit::of::<Freezer>("f1").with_metadata(json!({"patience": 300}));
        kit.telemetry(json!({"temperature": -10.0})).down_for(6 * MINUTE);
        kit.expect_alert("thawing");
    }
}
