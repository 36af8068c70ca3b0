//! Columns for people. What the server sends is cleaned of control characters: a device's text must not steer a terminal.

/// Left-aligned columns two blanks apart; nothing but the head line says that a table is empty.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    std::iter::once(&head).chain(&rows).map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// The text with every control character replaced.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_text_steers_the_terminal() {
        let text = table(&["ID", "STATUS"], &[vec!["a-long-id".into(), "active".into()], vec!["b".into(), "\u{1b}[31mred".into()]]);
        assert_eq!(text, "ID         STATUS\na-long-id  active\nb          \u{fffd}[31mred\n");
    }
}
