//! What a thing makes of what it measures.

use twinfold::prelude::*;

/// Below it somebody should have a look.
const LOW: f64 = 10.0;

/// What the twin remembers from one call to the next. It is stored with the twin.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Thing {
    low: bool,
}

impl Behaviour for Thing {
    /// Twins of this model behave so: `twin create t1 --model "dtmi:example:Thing;1"`.
    const MODEL: &'static str = "dtmi:example:Thing;1";

    fn on_telemetry(&mut self, t: &Telemetry, cx: &mut Context) -> Result<()> {
        let low = t.f64("level")? < LOW;
        if low && !self.low {
            cx.raise(Alert::warning("low").with("limit", LOW));
        }
        if self.low && !low {
            cx.clear("low");
        }
        self.low = low;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_level_raises_one_alert_that_is_cleared_when_it_rises() {
        let mut kit = TwinTestKit::of::<Thing>("t1");
        kit.telemetry(json!({"level": 9.5}));
        kit.expect_alert("low");
        kit.telemetry(json!({"level": 9.0}));
        kit.expect_no_effects();
        kit.telemetry(json!({"level": 50.0}));
        kit.expect_no_alert("low");
    }
}
