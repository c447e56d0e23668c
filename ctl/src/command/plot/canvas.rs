//! Dots in the cells of a terminal: eight in each as a Braille pattern, or one as an ASCII character.

/// How dots are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// 2 × 4 dots in a cell (U+2800 to U+28FF).
    Braille,
    /// One in a cell, a character for each curve.
    Ascii,
}

/// The characters of the curves in ASCII.
const CHARACTERS: [char; 6] = ['*', '+', 'o', 'x', '#', '%'];

/// The bits of the dots of a Braille pattern, by column and row.
const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Cells with dots.
#[derive(Debug)]
pub(super) struct Canvas {
    marks: Marks,
    columns: usize,
    rows: usize,
    /// The dots of each cell, and the curve that has drawn the last of them.
    cells: Vec<(u8, usize)>,
}

impl Canvas {
    /// Creates an empty canvas of a size in cells.
    pub(super) fn new(marks: Marks, columns: usize, rows: usize) -> Self {
        Self { marks, columns, rows, cells: vec![(0, 0); columns * rows] }
    }

    /// Returns the size in dots.
    pub(super) fn dots(&self) -> (usize, usize) {
        match self.marks {
            Marks::Braille => (2 * self.columns, 4 * self.rows),
            Marks::Ascii => (self.columns, self.rows),
        }
    }

    /// Sets a dot; (0, 0) is at the top left.
    fn set(&mut self, x: usize, y: usize, curve: usize) {
        let (column, row, bit) = match self.marks {
            Marks::Braille => (x / 2, y / 4, BITS[x % 2][y % 4]),
            Marks::Ascii => (x, y, 1),
        };
        if column < self.columns && row < self.rows {
            let cell = &mut self.cells[row * self.columns + column];
            *cell = (cell.0 | bit, curve);
        }
    }

    /// Draws a vertical line.
    pub(super) fn vertical(&mut self, x: usize, from: usize, to: usize, curve: usize) {
        (from.min(to)..=from.max(to)).for_each(|y| self.set(x, y, curve));
    }

    /// Draws a line from left to right: in each column the dots between the height at its beginning and at its end.
    pub(super) fn line(&mut self, from: (usize, usize), to: (usize, usize), curve: usize) {
        let width = to.0.saturating_sub(from.0);
        if width == 0 {
            return self.vertical(from.0, from.1, to.1, curve);
        }
        // The products are small: a canvas has some hundred dots on a side.
        let height = |x: usize| (from.1 * (width - x) + to.1 * x + width / 2) / width;
        for x in 0..width {
            let (here, next) = (height(x), height(x + 1));
            // The column of the next dot is not filled twice.
            let end = if next > here { (next - 1).max(here) } else { (next + 1).min(here) };
            self.vertical(from.0 + x, here, end, curve);
        }
        self.set(to.0, to.1, curve);
    }

    /// Returns each cell of a row: its character, and the curve if it has dots.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (char, Option<usize>)> {
        self.cells[row * self.columns..][..self.columns].iter().map(|(dots, curve)| {
            match (dots, self.marks) {
                (0, _) => (' ', None),
                (dots, Marks::Braille) => {
                    (char::from_u32(0x2800 + u32::from(*dots)).unwrap_or(' '), Some(*curve))
                }
                (_, Marks::Ascii) => (CHARACTERS[curve % CHARACTERS.len()], Some(*curve)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(canvas: &Canvas) -> Vec<String> {
        (0..canvas.rows).map(|row| canvas.row(row).map(|(character, _)| character).collect()).collect()
    }

    #[test]
    fn dots_become_braille_patterns_or_characters() {
        let mut canvas = Canvas::new(Marks::Braille, 2, 1);
        assert_eq!(canvas.dots(), (4, 4));
        canvas.line((0, 0), (3, 3), 0);
        assert_eq!(shown(&canvas), ["⠑⢄"]);
        let mut canvas = Canvas::new(Marks::Ascii, 4, 2);
        canvas.line((0, 1), (3, 0), 1);
        canvas.vertical(0, 0, 1, 0);
        assert_eq!(shown(&canvas), ["* ++", "*+  "]);
    }

    proptest::proptest! {
        #[test]
        fn any_line_stays_on_the_canvas(
            from in (0usize..300, 0usize..300), to in (0usize..300, 0usize..300), columns in 0usize..40, rows in 0usize..20,
        ) {
            for marks in [Marks::Braille, Marks::Ascii] {
                let mut canvas = Canvas::new(marks, columns, rows);
                canvas.line(from, to, 7);
                proptest::prop_assert_eq!(shown(&canvas).len(), rows);
            }
        }
    }
}
