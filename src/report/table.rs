//! A table, and its four renderings: terminal, Markdown, CSV and HTML.

use super::escape::escape;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Heading and alignment of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub align: Align,
}

impl Column {
    /// A column of words.
    pub fn left(name: impl Into<String>) -> Self {
        Self { name: name.into(), align: Align::Left }
    }

    /// A column of numbers.
    pub fn right(name: impl Into<String>) -> Self {
        Self { name: name.into(), align: Align::Right }
    }
}

/// The text of a cell, and whether it stands out: the best of its group, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub emphasis: bool,
}

impl Cell {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), emphasis: false }
    }

    pub fn emphasised(text: impl Into<String>) -> Self {
        Self { text: text.into(), emphasis: true }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows of cells under named columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// # Panics
    /// If there is not one cell a column.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        let row: Vec<Cell> = row.into_iter().collect();
        assert_eq!(row.len(), self.columns.len(), "cells in a row of a table");
        self.rows.push(row);
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Aligned columns under a ruled heading, two blanks between them; an emphasised cell is followed by `*`.
    pub fn to_terminal(&self) -> String {
        let headings = self.columns.iter().map(|column| one_line(&column.name)).collect();
        let body = self.rows.iter().map(|row| row.iter().map(|cell| one_line(&cell.text)).collect());
        let lines: Vec<Vec<String>> = std::iter::once(headings).chain(body).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| lines.iter().map(|line| line[c].chars().count()).max().unwrap_or(0))
            .collect();
        // A column with a mark in it keeps room for one in every row, so that its digits stay in line.
        let marked: Vec<bool> = (0..self.columns.len()).map(|c| self.rows.iter().any(|row| row[c].emphasis)).collect();
        let rule = widths.iter().zip(&marked).map(|(&width, &marked)| "-".repeat(width + usize::from(marked)));
        let rule = rule.collect::<Vec<_>>().join("  ");

        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let mut cells = Vec::with_capacity(line.len());
            for (c, cell) in line.iter().enumerate() {
                let blanks = " ".repeat(widths[c] - cell.chars().count());
                let mark = match (marked[c], index > 0 && self.rows[index - 1][c].emphasis) {
                    (false, _) => "",
                    (true, false) => " ",
                    (true, true) => "*",
                };
                cells.push(match self.columns[c].align {
                    Align::Left => format!("{cell}{mark}{blanks}"),
                    Align::Right => format!("{blanks}{cell}{mark}"),
                });
            }
            text += cells.join("  ").trim_end();
            text.push('\n');
            if index == 0 {
                text += &rule;
                text.push('\n');
            }
        }
        text
    }

    /// A pipe table as GitHub reads it; emphasised cells are bold.
    pub fn to_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.iter().map(|column| escape_markdown(&column.name)).collect());
        text += &line(
            self.columns
                .iter()
                .map(|column| match column.align {
                    Align::Left => ":---".into(),
                    Align::Right => "---:".into(),
                })
                .collect(),
        );
        for row in &self.rows {
            text += &line(
                row.iter()
                    .map(|cell| match escape_markdown(&cell.text) {
                        words if cell.emphasis && !words.is_empty() => format!("**{words}**"),
                        words => words,
                    })
                    .collect(),
            );
        }
        text
    }

    /// Comma-separated values with a heading line, quoted where RFC 4180 asks for it; emphasis is left out.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let headings = self.columns.iter().map(|column| column.name.as_str()).collect();
        let body = self.rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect());
        for record in std::iter::once::<Vec<&str>>(headings).chain(body) {
            writer.write_record(record).expect("writing to memory, rows of equal length");
        }
        let bytes = writer.into_inner().expect("flushing to memory");
        String::from_utf8(bytes).expect("made of strings and ASCII punctuation")
    }

    /// A `<table>` whose right-aligned cells have the class `number`; emphasised cells are `<strong>`.
    pub fn to_html(&self) -> String {
        let class = |column: &Column| match column.align {
            Align::Left => "",
            Align::Right => " class=\"number\"",
        };
        let mut text = String::from("<table>\n<thead><tr>");
        for column in &self.columns {
            text += &format!("<th scope=\"col\"{}>{}</th>", class(column), escape(&column.name));
        }
        text += "</tr></thead>\n<tbody>\n";
        for row in &self.rows {
            text += "<tr>";
            for (column, cell) in self.columns.iter().zip(row) {
                let words = escape(&cell.text);
                let words = if cell.emphasis { format!("<strong>{words}</strong>") } else { words };
                text += &format!("<td{}>{words}</td>", class(column));
            }
            text += "</tr>\n";
        }
        text + "</tbody>\n</table>\n"
    }
}

/// The text with its line breaks turned into blanks.
fn one_line(text: &str) -> String {
    text.replace("\r\n", " ").replace(['\n', '\r'], " ")
}

fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in one_line(text).chars() {
        if matches!(character, '\\' | '|' | '*' | '`' | '<' | '[') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([Column::left("objective"), Column::right("ELBO ± sd")]);
        table.push(["reverse_kl".into(), Cell::emphasised("12.50 ± 0.01")]);
        table.push(["a|b, \"c\" <d>".into(), "9.00".into()]);
        table
    }

    #[test]
    fn the_terminal_shows_aligned_columns() {
        let expected = "\
objective        ELBO ± sd
------------  -------------
reverse_kl    12.50 ± 0.01*
a|b, \"c\" <d>          9.00
";
        assert_eq!(table().to_terminal(), expected);
    }

    #[test]
    fn markdown_escapes_and_marks() {
        let expected = "\
| objective | ELBO ± sd |
| :--- | ---: |
| reverse_kl | **12.50 ± 0.01** |
| a\\|b, \"c\" \\<d> | 9.00 |
";
        assert_eq!(table().to_markdown(), expected);
    }

    #[test]
    fn csv_reads_back() {
        let text = table().to_csv();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["objective", "ELBO ± sd"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows[0], vec!["reverse_kl", "12.50 ± 0.01"]);
        assert_eq!(rows[1], vec!["a|b, \"c\" <d>", "9.00"]);
    }

    #[test]
    fn html_escapes_and_marks() {
        let html = table().to_html();
        assert!(html.contains("<td class=\"number\"><strong>12.50 ± 0.01</strong></td>"), "{html}");
        assert!(html.contains("<td>a|b, &quot;c&quot; &lt;d&gt;</td>"), "{html}");
    }

    #[test]
    fn a_line_break_in_a_cell_keeps_its_row_on_one_line() {
        let mut table = Table::new([Column::left("a")]);
        table.push(["x\r\ny\nz".into()]);
        assert_eq!(table.to_markdown().lines().count(), 3);
        assert_eq!(table.to_terminal().lines().last(), Some("x y z"));
    }

    #[test]
    fn an_empty_table_renders_its_headings() {
        let table = Table::new([Column::left("run"), Column::right("ELBO")]);
        assert_eq!(table.to_terminal(), "run  ELBO\n---  ----\n");
        assert_eq!(table.to_csv(), "run,ELBO\n");
        assert_eq!(Table::new([]).to_terminal(), "\n\n");
    }

    #[test]
    #[should_panic(expected = "cells in a row")]
    fn a_ragged_row_is_refused() {
        Table::new([Column::left("a"), Column::left("b")]).push(["only one".into()]);
    }
}
