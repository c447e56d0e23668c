//! The output of a benchmark: a table, and its progress before that.

use std::io::{self, IsTerminal, Write};

/// Prints the progress, on a terminal only; the next output overwrites it.
pub(crate) fn progress(what: &str) {
    if io::stdout().is_terminal() {
        print!("\r\x1b[K... {what}");
        // A failure to print the progress does not matter.
        let _flushed = io::stdout().flush();
    }
}

/// Prints a title, the names of the columns and the rows: the first column left-aligned, the others right-aligned, each as
/// wide as necessary.
pub(crate) fn table(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([columns[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let clear = if io::stdout().is_terminal() { "\r\x1b[K" } else { "" };
    println!("{clear}\n{title}");
    let names: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    for row in std::iter::once(&names).chain(rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
