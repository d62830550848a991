//! Tables and blocks of facts for people. Programs use `--json`.

use std::io::{self, Write};

/// Rows under a headline, columns as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(headline: [&str; N]) -> Self {
        Self { rows: vec![headline.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| one_line(&cell)).to_vec());
    }

    /// Whether there is no row below the headline.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// Writes it.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row: &Vec<String>| row.get(column)).map(|cell| chars(cell)).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - chars(cell) + 2));
            }
            writeln!(to, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Facts about one thing, a line each, those without a value left out.
pub(crate) fn facts(to: &mut impl Write, facts: &[(&str, Option<String>)]) -> io::Result<()> {
    let width = facts.iter().map(|(name, _)| chars(name)).max().unwrap_or(0);
    for (name, value) in facts {
        if let Some(value) = value {
            writeln!(to, "{name:width$}  {}", value.replace('\n', &format!("\n{:width$}  ", "")))?;
        }
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["QUEUE", "READY"]);
        table.row(["mail".to_owned(), "1".to_owned()]);
        table.row(["a-longer-name".to_owned(), "20\n000".to_owned()]);
        let mut text = Vec::new();
        table.write(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "QUEUE          READY\nmail           1\na-longer-name  20 000\n");
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        let mut text = Vec::new();
        facts(&mut text, &[("id", Some("7".to_owned())), ("error", None), ("kind", Some("a\nb".to_owned()))]).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "id     7\nkind   a\n       b\n");
    }
}
