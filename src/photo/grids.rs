//! Into which areas a picture is divided, for each of the ways in which it is known again.

/// Cells per side of a miniature.
pub(super) const MINIATURE_SIDE: usize = 8;
/// Pixels per side of a thumbnail.
pub(super) const THUMBNAIL_SIDE: usize = 32;

/// The difference hash's grid.
pub(super) mod hash {
    /// Cells of the difference hash.
    pub(in crate::photo) const COLUMNS: usize = 9;
    pub(in crate::photo) const ROWS: usize = 8;

    /// Mean luma of each cell in 1/256 steps of a grey level.
    pub(in crate::photo) type Cells = [[u64; COLUMNS]; ROWS];

    /// Where cell number `cell` of `cells` begins on a side; placed symmetrically, so that the mirror image has the mirrored
    /// cells. A pixel belongs to the one cell that holds its top left corner.
    pub(in crate::photo) fn border(cell: usize, cells: usize, side: usize) -> usize {
        (cell * side + cells / 2) / cells
    }

    /// The cells of a photo of this width and height from the sums of R, G and B over each of them, row by row.
    pub(in crate::photo) fn means(sums: &[[u64; 3]], (width, height): (usize, usize)) -> Cells {
        let length = |cell: usize, cells: usize, side: usize| border(cell + 1, cells, side) - border(cell, cells, side);
        let mut means = Cells::default();
        for (at, [r, g, b]) in sums.iter().enumerate() {
            let (row, column) = (at / COLUMNS, at % COLUMNS);
            let count = length(row, ROWS, height) * length(column, COLUMNS, width);
            means[row][column] = (77 * r + 150 * g + 29 * b) / count.max(1) as u64;
        }
        means
    }
}

/// The background's grid.
pub(super) mod background {
    /// Cells per side.
    pub(in crate::photo) const SIDE: usize = 16;

    /// Where a cell begins on a side of the picture.
    pub(in crate::photo) fn border(cell: usize, length: usize) -> usize {
        cell * length / SIDE
    }
}
