//! What is in force and from where, for an operator; and the manual's table.

use std::fmt::Write;

use super::{
    layers::InForce,
    setting::{NONE, Setting},
    table::SETTINGS,
};

/// One line a setting: `key = value  # source`. A secret shows only whether it is set.
pub fn print(in_force: &[InForce]) -> String {
    let lines: Vec<(String, String)> =
        in_force.iter().map(|v| (format!("{} = {}", v.setting.key, shown(v)), v.source.to_string())).collect();
    let width = lines.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (left, source)| {
        let _ = writeln!(text, "{left:width$}  # {source}");
        text
    })
}

fn shown(value: &InForce) -> String {
    let is_set = !value.text.is_empty() && value.text != NONE;
    let text = if value.setting.is_secret() && is_set { "***" } else { &value.text };
    format!("{text:?}")
}

/// The settings as docs/OPERATIONS.md lists them.
pub fn manual_table() -> String {
    let head = "| setting | type | default | flag | meaning |\n|---|---|---|---|---|\n".to_owned();
    SETTINGS.iter().fold(head, |mut text, s| {
        let _ = writeln!(text, "| `{}` | {} | `{}` | {} | {} |", s.key, s.type_name(), s.default, flag(s), s.meaning);
        text
    })
}

fn flag(setting: &Setting) -> String {
    setting.flag.map_or_else(String::new, |name| format!("`--{name}`"))
}
