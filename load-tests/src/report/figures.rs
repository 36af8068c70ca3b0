//! Figures of rows: found by load and peer, brought to a median over the rounds, and written for people.

use super::{Report, Row};
use crate::peer::Kind;

/// One figure of one peer under one load.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    pub scenario: &'a str,
    /// Parts of a load's name; where several loads have them all, the one with the fewest others is meant.
    pub load: &'a str,
    pub peer: Kind,
    pub figure: &'a str,
}

/// What several rounds gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: usize,
}

impl Spread {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().filter(|f| f.is_finite()).collect();
        figures.sort_by(f64::total_cmp);
        let (min, max, rounds) = (*figures.first()?, *figures.last()?, figures.len());
        // Of an even number the mean of the two in the middle.
        let median = (figures[(rounds - 1) / 2] + figures[rounds / 2]) / 2.0;
        Some(Self { median, min, max, rounds })
    }

    pub fn times(self, factor: f64) -> Self {
        Self { median: self.median * factor, min: self.min * factor, max: self.max * factor, ..self }
    }

    /// `8.54`, or of several rounds `8.54 (8.41–8.80)`.
    pub fn text(&self) -> String {
        if self.rounds < 2 { number(self.median) } else { format!("{} ({}–{})", number(self.median), number(self.min), number(self.max)) }
    }
}

impl Report {
    /// A figure, by round.
    pub fn rounds(&self, of: Of) -> Vec<(u32, f64)> {
        let has = |row: &&Row| row.scenario == of.scenario && row.peer == of.peer && row.figures.contains_key(of.figure);
        let loads = self.rows().filter(has).map(|row| row.load.as_str()).filter(|load| has_parts(load, of.load));
        let Some(load) = loads.min_by_key(|load| load.split(", ").count()) else { return Vec::new() };
        let rows = self.rows().filter(has).filter(|row| row.load == load);
        rows.filter_map(|row| Some((row.round, *row.figures.get(of.figure)?))).collect()
    }

    pub fn spread(&self, of: Of) -> Option<Spread> {
        Spread::of(self.rounds(of).into_iter().map(|(_, figure)| figure))
    }

    /// Two figures of the same round brought together, a round after the other: what a noisy machine did to one it did to both.
    pub fn paired(&self, a: Of, b: Of, together: impl Fn(f64, f64) -> f64) -> Option<Spread> {
        let others = self.rounds(b);
        let other = |round| others.iter().find(|(r, _)| *r == round).map(|(_, figure)| *figure);
        Spread::of(self.rounds(a).into_iter().filter_map(|(round, figure)| Some(together(figure, other(round)?))))
    }
}

/// Whether a load's name, parts with commas between them, has all of these.
pub fn has_parts(load: &str, wanted: &str) -> bool {
    wanted.is_empty() || wanted.split(", ").all(|part| load.split(", ").any(|has| has == part))
}

/// Three digits, or all of them before the point with their thousands apart.
pub fn number(figure: f64) -> String {
    let size = figure.abs();
    let digits = match size {
        // What is nearly nothing is written as nothing.
        s if s < 0.000_05 => 0,
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s if s >= 0.0995 => 3,
        _ => 4,
    };
    let text = format!("{figure:.digits$}");
    if size < 10_000.0 {
        return text;
    }
    let (sign, whole) = text.split_at(text.len() - text.trim_start_matches('-').len());
    let thousands: Vec<&str> = whole.as_bytes().rchunks(3).rev().filter_map(|three| std::str::from_utf8(three).ok()).collect();
    format!("{sign}{}", thousands.join(","))
}

/// `cpu_us_per_message` as `CPU µs/message`.
pub fn heading(figure: &str) -> String {
    let word = |word: &str| match word {
        "cpu" => "CPU".to_owned(),
        "us" => "µs".to_owned(),
        "rss" => "RSS".to_owned(),
        "mib" => "MiB".to_owned(),
        "kib" => "KiB".to_owned(),
        "io" => "read and write".to_owned(),
        "p999" => "p99.9".to_owned(),
        "per" => "/".to_owned(),
        other => other.to_owned(),
    };
    let words: Vec<String> = figure.split('_').map(word).collect();
    words.join(" ").replace(" / ", "/").replace("/second", "/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_three_digits_and_its_thousands_apart() {
        let written = [0.0, 0.01234, 0.5, 2.1, 54.321, 180_711.4, 1234.5, -12_345.0].map(number);
        assert_eq!(written, ["0", "0.0123", "0.500", "2.10", "54.3", "180,711", "1234", "-12,345"]);
    }

    #[test]
    fn a_heading_reads_as_words() {
        assert_eq!(heading("cpu_us_per_message"), "CPU µs/message");
        assert_eq!(heading("messages_per_second"), "messages/s");
        assert_eq!(heading("io_calls_per_message"), "read and write calls/message");
        assert_eq!(heading("p999_ms"), "p99.9 ms");
    }

    #[test]
    fn a_ratio_is_of_the_same_round_and_of_the_plainest_load() {
        let row = |round, peer, load: &str, cpu| {
            let row = Row::new("ingest", peer, load.to_owned()).with("cpu", cpu);
            Row { round, ..row }
        };
        let (ours, theirs) = (Kind::Twinfold, Kind::Mosquitto);
        let rows = vec![
            row(1, ours, "QoS 1, window 16", 2.0),
            row(1, ours, "QoS 1, window 16, 1 KiB", 9.0),
            row(2, ours, "QoS 1, window 16", 3.0),
            row(2, theirs, "QoS 1, window 16", 6.0),
            row(1, theirs, "QoS 1, window 16", 8.0),
            row(1, theirs, "QoS 1, window 1", 1.0),
        ];
        let report = Report { runs: vec![super::super::Run { machine: serde_json::Value::Null, traced: false, rows }] };
        let of = |peer| Of { scenario: "ingest", load: "window 16", peer, figure: "cpu" };
        let ratio = report.paired(of(ours), of(theirs), |a, b| a / b);
        assert_eq!(ratio, Some(Spread { median: 0.375, min: 0.25, max: 0.5, rounds: 2 }));
        assert_eq!(report.spread(Of { scenario: "idle", ..of(ours) }), None);
    }
}
