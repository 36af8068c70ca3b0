//! What the project asks of itself, each line worked out from the rows of this report.

use super::{
    Report,
    figures::{Of, Spread, number},
};
use crate::peer::Kind::{self, ActixWeb, Mosquitto, Rustls, Twinfold, TwinfoldTmpfs};

struct Target {
    name: &'static str,
    measure: Measure,
    unit: &'static str,
    bound: Bound,
    /// Wished for beyond the bound.
    goal: Option<Bound>,
}

/// How a target's figure comes about. Where two rows are named, they are of the same round.
enum Measure {
    /// As it is, times a factor that makes its unit of the row's.
    Figure(Of<'static>, f64),
    /// The first over the second.
    Ratio(Of<'static>, Of<'static>),
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};
use Measure::{Figure, Ratio};

/// A target as it stands in the table.
pub struct Line {
    pub target: &'static str,
    pub measured: String,
    pub bound: String,
    pub verdict: &'static str,
}

const fn of(scenario: &'static str, load: &'static str, peer: Kind, figure: &'static str) -> Of<'static> {
    Of { scenario, load, peer, figure }
}

/// What is written behind an acknowledgement belongs to what the message cost.
const SETTLED: &str = "cpu_us_per_message_settled";
const RATE: &str = "messages_per_second";
const W16: &str = "QoS 1, window 16, JSON 108 B, 100 connections";
const W1: &str = "QoS 1, window 1, JSON 108 B, 100 connections";
const MANY: &str = "QoS 1, window 16, JSON 108 B, 1000 connections";
const READ: &str = "cpu_us_per_request";
const READS: &str = "requests_per_second";
const CONNECT: &str = "cpu_us_per_connect";
const HALF: &str = "half of saturation";
const ABOVE_FLAT: &str = "us_per_reading_above_flat";

/// A thousand bytes, of bytes; 1,024 bytes, of bytes; a million bytes, of MiB; per cent, of a share.
const KB: f64 = 1e-3;
const KIB: f64 = 1.0 / 1024.0;
const MB: f64 = 1.048_576;
const PERCENT: f64 = 100.0;

/// A figure of ours, in the unit of its row.
const fn ours(
    name: &'static str,
    (scenario, load, figure): (&'static str, &'static str, &'static str),
    unit: &'static str,
    bound: Bound,
) -> Target {
    Target { name, measure: Figure(of(scenario, load, Twinfold, figure), 1.0), unit, bound, goal: None }
}

const fn figure(name: &'static str, of: Of<'static>, factor: f64, unit: &'static str, bound: Bound) -> Target {
    Target { name, measure: Figure(of, factor), unit, bound, goal: None }
}

const fn ratio(name: &'static str, a: Of<'static>, b: Of<'static>, bound: Bound, goal: Option<Bound>) -> Target {
    Target { name, measure: Ratio(a, b), unit: "×", bound, goal }
}

const fn ingest(load: &'static str, peer: Kind, figure: &'static str) -> Of<'static> {
    of("ingest", load, peer, figure)
}

const fn against_a_thousand(name: &'static str, load: &'static str) -> Target {
    let small = of("fleet", "1000 twins, uniform", Twinfold, SETTLED);
    ratio(name, of("fleet", load, Twinfold, SETTLED), small, AtMost(1.5), None)
}

const TARGETS: [Target; 31] = [
    ratio(
        "CPU a message, durable QoS 1, window 16, against Mosquitto",
        ingest(W16, Twinfold, SETTLED),
        ingest(W16, Mosquitto, SETTLED),
        AtMost(0.8),
        Some(AtMost(0.5)),
    ),
    ratio("the same, window 1", ingest(W1, Twinfold, SETTLED), ingest(W1, Mosquitto, SETTLED), AtMost(1.2), Some(AtMost(1.0))),
    ours("durable rate, 1,000 devices", ("ingest", MANY, RATE), "messages/s", AtLeast(100_000.0)),
    ratio("… against our own rate without durability", ingest(MANY, Twinfold, RATE), ingest(MANY, TwinfoldTmpfs, RATE), AtLeast(0.6), None),
    figure(
        "resident twin with ten values, 100,000 of them",
        of("fleet", "100000 twins, ten values each", Twinfold, "bytes_per_twin"),
        KIB,
        "KiB",
        AtMost(1.5),
    ),
    figure("… 1,000,000 of them", of("fleet", "1000000 twins, ten values each", Twinfold, "bytes_per_twin"), KIB, "KiB", AtMost(1.5)),
    ours("twins in one process", ("fleet", "1000000 twins, ten values each", "twins"), "", AtLeast(1e6)),
    figure("idle connected device with its twin", of("idle", "", Twinfold, "bytes_per_connection"), KB, "kB", AtMost(10.0)),
    ours("publish to pushed on SSE, half of saturation, p99", ("live", HALF, "sse_p99_ms"), "ms", AtMost(2.0)),
    ours("… p99.9", ("live", HALF, "sse_p999_ms"), "ms", AtMost(10.0)),
    ours("publish to readable over HTTP, half of saturation, p99", ("live", HALF, "http_p99_ms"), "ms", AtMost(2.0)),
    ours("… p99.9", ("live", HALF, "http_p999_ms"), "ms", AtMost(10.0)),
    ratio(
        "twin reads a CPU second, against bare actix-web",
        of("reads", "twin", ActixWeb, READ),
        of("reads", "twin", Twinfold, READ),
        AtLeast(0.7),
        None,
    ),
    ratio("… a second", of("reads", "twin", Twinfold, READS), of("reads", "twin", ActixWeb, READS), AtLeast(0.7), None),
    ours("command, POST to answer, at 5,000/s, p99", ("commands", "5000/s", "p99_ms"), "ms", AtMost(5.0)),
    ours("… commands answered of 5,000/s", ("commands", "5000/s", "commands_per_second"), "a second", AtLeast(4_950.0)),
    ours("ready after `kill -9`, 100,000 twins", ("recover", "100000 twins", "ready_ms"), "ms", AtMost(2_000.0)),
    ours("… first answer of a cold twin, worst of a sample", ("recover", "100000 twins", "cold_max_ms"), "ms", AtMost(5.0)),
    ours("… acknowledged messages lost", ("recover", "100000 twins", "lost"), "", AtMost(0.0)),
    ours("ready after `kill -9`, 1,000,000 twins", ("recover", "1000000 twins", "ready_ms"), "ms", AtMost(2_000.0)),
    ours("… first answer of a cold twin, worst of a sample", ("recover", "1000000 twins", "cold_max_ms"), "ms", AtMost(5.0)),
    figure("overload × 2: goodput of the peak", of("overload", "", Twinfold, "goodput_share"), PERCENT, "%", AtLeast(90.0)),
    figure("… RSS above that at the peak", of("overload", "", Twinfold, "rss_rise_share"), PERCENT, "%", AtMost(10.0)),
    ours("… devices cut off", ("overload", "", "connections_lost"), "", AtMost(0.0)),
    ours("roll-up a reading at depth 4, 10 siblings", ("rollup", "depth 4, 10 siblings", ABOVE_FLAT), "µs", AtMost(0.3)),
    ours("… 1,000 siblings", ("rollup", "depth 4, 1000 siblings", ABOVE_FLAT), "µs", AtMost(0.3)),
    against_a_thousand("CPU a message, 100,000 twins against 1,000", "100000 twins, uniform"),
    against_a_thousand("CPU a message, 1,000,000 twins against 1,000", "1000000 twins, uniform"),
    ratio(
        "TLS handshakes with CONNECT a CPU second, against bare rustls",
        of("tls", "", Rustls, CONNECT),
        of("tls", "", Twinfold, CONNECT),
        AtLeast(0.7),
        None,
    ),
    figure("binary", of("start", "", Twinfold, "binary_mib"), MB, "MB", AtMost(30.0)),
    ours("start to ready on an empty store", ("start", "", "ready_ms"), "ms", AtMost(100.0)),
];

pub fn lines(report: &Report) -> Vec<Line> {
    TARGETS.iter().map(|target| target.line(report)).collect()
}

impl Target {
    fn line(&self, report: &Report) -> Line {
        let goal = self.goal.map_or(String::new(), |goal| format!(", goal {}", goal.text("")));
        let bound = self.bound.text(self.unit) + &goal;
        let Some(spread) = self.measure.of(report) else {
            return Line { target: self.name, measured: String::new(), bound, verdict: "not measured in this run" };
        };
        let verdict = match (self.bound.holds(spread.median), self.goal.map(|goal| goal.holds(spread.median))) {
            (true, Some(true)) => "yes, and the goal",
            (true, Some(false)) => "yes, not the goal",
            (true, None) => "yes",
            (false, _) => "**no**",
        };
        Line { target: self.name, measured: format!("{} {}", spread.text(), self.unit), bound, verdict }
    }
}

impl Measure {
    fn of(&self, report: &Report) -> Option<Spread> {
        match self {
            Figure(of, factor) => report.spread(*of).map(|spread| spread.times(*factor)),
            Ratio(a, b) => report.paired(*a, *b, |a, b| a / b),
        }
    }
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            AtMost(bound) => figure <= bound,
            AtLeast(bound) => figure >= bound,
        }
    }

    fn text(self, unit: &str) -> String {
        let (sign, bound) = match self {
            AtMost(bound) => ("≤", bound),
            AtLeast(bound) => ("≥", bound),
        };
        format!("{sign} {} {unit}", number(bound)).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Row, Run};

    #[test]
    fn a_target_is_judged_by_the_rows_there_are() {
        let row = |peer, figure| Row::new("ingest", peer, W16.to_owned()).with(SETTLED, figure);
        let rows =
            vec![row(Twinfold, 7.0), row(Mosquitto, 10.0), Row::new("start", Twinfold, "empty store".into()).with("ready_ms", 140.0)];
        let report = Report { runs: vec![Run { machine: serde_json::Value::Null, traced: false, rows }] };
        let lines = lines(&report);
        let verdict =
            |name: &str| lines.iter().find(|line| line.target.starts_with(name)).map(|line| (line.measured.as_str(), line.verdict));
        assert_eq!(verdict("CPU a message, durable QoS 1, window 16"), Some(("0.700 ×", "yes, not the goal")));
        assert_eq!(verdict("start to ready"), Some(("140 ms", "**no**")));
        assert_eq!(verdict("the same, window 1"), Some(("", "not measured in this run")));
    }
}
