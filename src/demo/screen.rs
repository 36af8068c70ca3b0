//! The campus on a terminal: one block that is drawn over itself, a line a floor and its rooms beside each other.
//!
//! Plain ANSI, two escape sequences: `ratatui` would take over the whole screen, and with it the lines above that say
//! what to try.

use std::fmt::Write;

use serde_json::Value;

use super::campus::{ROOMS_PER_FLOOR, SITE};
use crate::client::table::clean;

/// Rooms beside each other.
const ROOMS_A_LINE: usize = 5;

/// What is shown besides the tree.
#[derive(Debug, Clone, Copy)]
pub struct Strip {
    pub messages_per_second: f64,
    pub acknowledged: u64,
    pub refused: u64,
    pub commands: u64,
    pub hour: f64,
}

/// The block, line by line, for the answer of `GET /twins/campus/tree?depth=2`.
pub fn lines(tree: &Value, strip: Strip, colour: bool) -> Vec<String> {
    let pen = Pen { colour };
    let mut lines = vec![pace(strip), place(tree, SITE, &pen)];
    for floor in children(tree) {
        lines.push(place(floor, "floor", &pen));
        let rooms: Vec<String> = children(floor).take(ROOMS_PER_FLOOR).map(|room| cell(room, &pen)).collect();
        lines.extend(rooms.chunks(ROOMS_A_LINE).map(|row| format!("    {}", row.join("  "))));
    }
    lines
}

/// One plain line, for when nobody watches a terminal.
pub fn summary(tree: &Value, strip: Strip) -> String {
    format!("{}  {}", place(tree, SITE, &Pen { colour: false }), pace(strip))
}

/// Draws over the `former` lines drawn before. A line too long for the terminal is cut, not wrapped: wrapped lines would
/// make the block higher than is counted here.
pub fn redraw(lines: &[String], former: usize) -> String {
    let mut text = "\x1b[?7l".to_owned();
    if former > 0 {
        let _ = write!(text, "\x1b[{former}A");
    }
    for line in lines {
        let _ = writeln!(text, "\x1b[2K{line}");
    }
    text.push_str("\x1b[?7h");
    text
}

/// The simulated time of day and what the devices have done.
fn pace(strip: Strip) -> String {
    let (hours, minutes) = (strip.hour as u32, (strip.hour.fract() * 60.0) as u32);
    format!(
        "{hours:02}:{minutes:02}  {:.0} messages/s, {} acknowledged, {} refused, {} commands",
        strip.messages_per_second, strip.acknowledged, strip.refused, strip.commands
    )
}

/// `campus-f1  49/50 connected  21.4 °C  612 ppm  1.2 kW  1 alert, worst warning`
fn place(node: &Value, fallback: &str, pen: &Pen) -> String {
    let (devices, connected) = (figure(node, "/rollups/count"), figure(node, "/rollups/connected"));
    let values = [
        ("temperature", "avg", 1.0, 1, "°C"),
        ("co2", "avg", 1.0, 0, "ppm"),
        ("power", "sum", 0.001, 1, "kW"),
        ("people", "sum", 1.0, 0, "people"),
    ];
    let values = values.iter().filter_map(|(name, fold, factor, digits, unit)| {
        let value = twin(node).pointer(&format!("/rollups/values/{name}/{fold}"))?.as_f64()?;
        Some(format!("{:>6.*} {unit}", *digits, value * factor))
    });
    let all = values.collect::<Vec<_>>().join(" ");
    let id = pen.bold(&format!("{:9}", clean(twin(node).get("id").and_then(Value::as_str).unwrap_or(fallback))));
    format!("{id} {connected:>3}/{devices} connected {all}{}", alerts(node, pen))
}

/// `r01 21.4° 5/5 ▲`
fn cell(room: &Value, pen: &Pen) -> String {
    let id = twin(room).get("id").and_then(Value::as_str).unwrap_or("?");
    let name = clean(id.rsplit('-').next().unwrap_or(id));
    let temperature = twin(room).pointer("/rollups/values/temperature/avg").and_then(Value::as_f64);
    let text = temperature.map_or("  – ".to_owned(), |t| format!("{t:4.1}°"));
    let text = if temperature.is_some_and(|t| t > 28.0) { pen.red(&text) } else { text };
    let (devices, connected) = (figure(room, "/rollups/count"), figure(room, "/rollups/connected"));
    let present = format!("{connected}/{devices}");
    let present = if connected < devices { pen.yellow(&present) } else { present };
    format!("{name} {text} {present}{}", mark(room, pen))
}

fn mark(node: &Value, pen: &Pen) -> String {
    match twin(node).pointer("/rollups/alerts/worst").and_then(Value::as_str) {
        Some("critical") => pen.red(" !"),
        Some("warning") => pen.yellow(" !"),
        Some(_) => " i".to_owned(),
        None => "  ".to_owned(),
    }
}

fn alerts(node: &Value, pen: &Pen) -> String {
    let count = figure(node, "/rollups/alerts/count");
    let worst = twin(node).pointer("/rollups/alerts/worst").and_then(Value::as_str);
    let plural = if count == 1 { "" } else { "s" };
    worst.map_or_else(String::new, |worst| pen.red(&format!("  {count} alert{plural}, worst {}", clean(worst))))
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node.get("children").and_then(Value::as_array).into_iter().flatten()
}

fn twin(node: &Value) -> &Value {
    node.get("twin").unwrap_or(node)
}

fn figure(node: &Value, pointer: &str) -> u64 {
    twin(node).pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

struct Pen {
    colour: bool,
}

impl Pen {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STRIP: Strip = Strip { messages_per_second: 61.7, acknowledged: 1234, refused: 0, commands: 2, hour: 9.5 };

    fn node(id: &str, temperature: f64, connected: u64, children: Vec<Value>) -> Value {
        json!({"twin": {"id": id, "rollups": {"count": 5, "connected": connected, "alerts": {"count": 0},
            "values": {"temperature": {"avg": temperature, "sum": temperature}}}}, "children": children, "children_left_out": 0})
    }

    #[test]
    fn a_floor_is_one_line_and_its_rooms_stand_beside_each_other() {
        let rooms = (1..=10).map(|n| node(&format!("campus-f1-r{n:02}"), 21.44, 5, vec![])).collect();
        let tree = node("campus", 21.4, 5, vec![node("campus-f1", 21.4, 5, rooms)]);
        let lines = lines(&tree, STRIP, false);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "09:30  62 messages/s, 1234 acknowledged, 0 refused, 2 commands");
        assert_eq!(lines[1], "campus      5/5 connected   21.4 °C");
        assert!(lines[3].starts_with("    r01 21.4° 5/5"), "{}", lines[3]);
    }

    #[test]
    fn what_is_wrong_is_coloured() {
        let room = cell(&node("r", 31.0, 4, vec![]), &Pen { colour: true });
        assert!(room.contains("\x1b[1;31m31.0°") && room.contains("\x1b[33m4/5"), "{room:?}");
    }

    #[test]
    fn a_block_is_drawn_over_the_former_one() {
        assert_eq!(redraw(&["a".into(), "b".into()], 2), "\x1b[?7l\x1b[2A\x1b[2Ka\n\x1b[2Kb\n\x1b[?7h");
    }
}
