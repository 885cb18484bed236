//! Rows as lines: aligned for a terminal, separated by tabs for everybody else.

use anstyle::{AnsiColor, Style};

use crate::cli::output;

/// Makes lines of heads and rows.
pub(super) type Layout = fn(&[&str], &[Vec<Cell>]) -> String;

/// A cell and how it is shown.
pub(super) type Cell = (String, Style);

pub(super) fn plain(text: impl Into<String>) -> Cell {
    (text.into(), Style::new())
}

pub(super) fn coloured(word: &str) -> Cell {
    let style = match word {
        "fresh" | "listening" | "signed-in" => AnsiColor::Green.on_default(),
        "degraded" | "retrying" | "ending" | "overdue" | "signing-in" => {
            AnsiColor::Yellow.on_default()
        }
        "none" | "expired" | "failing" | "needs-login" | "failed" => {
            AnsiColor::Red.on_default().bold()
        }
        _ => Style::new(),
    };
    (word.to_owned(), style)
}

/// For programs: cells between tabs, which no cell holds.
pub(super) fn separated(heads: &[&str], rows: &[Vec<Cell>]) -> String {
    let mut text = heads.join("\t");
    text.push('\n');
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| one_line(cell).0).collect();
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    text
}

/// Columns as wide as their widest cell; the last one is not filled up.
pub(super) fn aligned(heads: &[&str], rows: &[Vec<Cell>]) -> String {
    let head = heads
        .iter()
        .map(|head| ((*head).to_owned(), Style::new().bold()))
        .collect();
    let rows: Vec<Vec<Cell>> = std::iter::once(&head)
        .chain(rows)
        .map(|row| row.iter().map(one_line).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for ((cell, style), width) in row.iter().zip(&widths) {
            let fill = " ".repeat(width - cell.chars().count() + 2);
            output::append(&mut line, format_args!("{style}{cell}{style:#}{fill}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn one_line((text, style): &Cell) -> Cell {
    (output::printable(text).replace('\n', " "), *style)
}
