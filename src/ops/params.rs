//! What the kernels of `kernels/` take besides tensors: the same structures as in `kernels/core/*.h`, field by field.
//!
//! They are here whatever the binary was built for, so that the tests can hold the kernels to the CPU on any machine.

/// What goes to a device and comes back as bytes.
///
/// # Safety
/// The type is made of numbers alone, without padding, laid out as in `kernels/core`: any bytes of its size are one.
pub unsafe trait Plain: Copy + Default + Sync {}

/// The bytes of items.
pub fn bytes_of<T: Plain>(items: &[T]) -> &[u8] {
    // SAFETY: `Plain` has no padding, so every byte is initialised; bytes need no alignment.
    unsafe { std::slice::from_raw_parts(items.as_ptr().cast(), size_of_val(items)) }
}

/// The bytes of items, to be written.
pub fn bytes_of_mut<T: Plain>(items: &mut [T]) -> &mut [u8] {
    // SAFETY: as for `bytes_of`, and any bytes make a `Plain`.
    unsafe { std::slice::from_raw_parts_mut(items.as_mut_ptr().cast(), size_of_val(items)) }
}

/// Says that types are [`Plain`], and proves that they have no padding: the sizes of the fields add up.
macro_rules! plain {
    ($($name:ident: $($size:literal)*;)+) => {$(
        const _: () = assert!(size_of::<$name>() == 0 $(+ $size)*);
        // SAFETY: numbers in `repr(C)`, and no bytes between them.
        unsafe impl Plain for $name {}
    )+};
}

plain! {
    u8: 1;
    i32: 4;
    u32: 4;
    i64: 8;
    f32: 4;
    PixelParams: 4 4 4 4 4 4;
    UprightPicture: 8 8 4 4 4 4;
    WarpFace: 8 4 4 4 4 4 4 4 4 4 4;
    CropRegion: 8 4 4 4 4 4 4;
    ShrinkPicture: 8 4 4 4 4;
    DecodePicture: 4 8 8;
    DecodeParams: 4 4 4 4 4 4;
    ConvParams: 4 4 4 4 4 4 4 4 4 4 4 4 4;
    SearchParams: 4 4 4 4 4 4;
    SearchReach: 4 4 4 4 4;
    SearchHit: 4 4 4;
}

/// How a pixel leaves: `(value - mean) * factor`, red or blue first.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct PixelParams {
    /// Results.
    pub count: i32,
    /// Of a result, pixels.
    pub width: i32,
    /// Of a result, pixels.
    pub height: i32,
    /// 1 where blue comes first.
    pub blue_first: i32,
    /// Subtracted from 0..=255.
    pub mean: f32,
    /// Multiplied after that.
    pub factor: f32,
}

/// One face to warp.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct WarpFace {
    /// Of the picture's first byte.
    pub offset: i64,
    /// Of the picture, pixels.
    pub width: i32,
    /// Of the picture, pixels.
    pub height: i32,
    /// Pixels averaged in each direction: the unit of what follows.
    pub square: i32,
    /// Whole part of where output (0, 0) lies.
    pub left: i32,
    /// See `left`.
    pub top: i32,
    /// The rest of it.
    pub x: f32,
    /// See `x`.
    pub y: f32,
    /// Scale times cosine, from output to squares.
    pub a: f32,
    /// Scale times sine.
    pub b: f32,
    /// Zero.
    pub reserved: i32,
}

/// A region to resize.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct CropRegion {
    /// Of the picture's first byte.
    pub offset: i64,
    /// Pixels in a row of the picture.
    pub picture_width: i32,
    /// First column.
    pub left: i32,
    /// First row.
    pub top: i32,
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
    /// Zero.
    pub reserved: i32,
}

/// A picture to shrink into the upper left corner of a result.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct ShrinkPicture {
    /// Of the picture's first byte.
    pub offset: i64,
    /// Of the picture.
    pub width: i32,
    /// Of the picture.
    pub height: i32,
    /// Of the shrunk picture.
    pub fit_width: i32,
    /// Of the shrunk picture.
    pub fit_height: i32,
}

/// A stored picture to turn upright.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct UprightPicture {
    /// Of the stored picture's first byte.
    pub from: i64,
    /// Of the upright picture's first byte.
    pub to: i64,
    /// Of the upright picture.
    pub width: i32,
    /// Of the upright picture.
    pub height: i32,
    /// EXIF 2.32, tag 0x0112: 1 to 8.
    pub orientation: i32,
    /// Zero.
    pub reserved: i32,
}

/// How one picture of a detector's batch lies in its photo.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct DecodePicture {
    /// Whose list of candidates it fills.
    pub photo: i32,
    /// Photo pixels per input pixel, across and down.
    pub ratio: [f32; 2],
    /// The photo's own width and height in the input.
    pub inside: [f32; 2],
}

/// One level of the detector's output.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct DecodeParams {
    /// In the batch.
    pub pictures: i32,
    /// Of cells.
    pub rows: i32,
    /// Of cells.
    pub columns: i32,
    /// Input pixels per cell.
    pub stride: i32,
    /// Candidates that a photo's list can hold.
    pub capacity: i32,
    /// Candidates score at least this.
    pub min_score: f32,
}

/// Floats of a candidate or a face: left, top, width, height, ten of landmarks, score.
pub const FACE_VALUES: usize = 15;
/// Values per cell of the detector: face, overlap, four of the box, ten of landmarks.
pub const CELL_VALUES: usize = 16;
/// Candidates that one block can sort.
pub const MOST_CANDIDATES: usize = 1024;

/// Geometry of a convolution and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ConvParams {
    /// Images.
    pub n: i32,
    /// Of the input.
    pub height: i32,
    /// Of the input.
    pub width: i32,
    /// Of the input.
    pub channels: i32,
    /// Of the output.
    pub out_height: i32,
    /// Of the output.
    pub out_width: i32,
    /// Kernel rows.
    pub kernel_y: i32,
    /// Kernel columns.
    pub kernel_x: i32,
    /// In both directions.
    pub stride: i32,
    /// Rows of zeros above.
    pub pad_top: i32,
    /// Columns of zeros to the left.
    pub pad_left: i32,
    /// 0 none, 1 ReLU, 2 PReLU.
    pub activation: i32,
    /// 1 where a residual is added behind the activation.
    pub residual: i32,
}

/// One pass of a search over a chunk of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct SearchParams {
    /// Number of probes.
    pub probes: i32,
    /// Words of four codes in a row.
    pub words: i32,
    /// In this chunk.
    pub rows: i32,
    /// Number of the chunk's first row.
    pub first_row: i32,
    /// How many best rows per probe raise its limit; 0: limits stay.
    pub top: i32,
    /// Of the list of hits.
    pub capacity: u32,
}

/// Longest running list of best rows.
pub const MOST_TOP: usize = 32;
/// Probes of one panel.
pub const SEARCH_PROBES: usize = 64;

/// What a probe asks of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct SearchReach {
    /// The probe's scale.
    pub scale: f32,
    /// 1 + the probe's residual.
    pub grown: f32,
    /// Residual and the rounding of a scan.
    pub slack: f32,
    /// The probe's residual.
    pub residual: f32,
    /// The rounding of a scan.
    pub rounding: f32,
}

/// A row that may be near enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(C)]
pub struct SearchHit {
    /// Position of the probe.
    pub probe: u32,
    /// Number of the row.
    pub row: u32,
    /// Integer product of the codes.
    pub sum: i32,
}

/// A limit as an unsigned integer of the same order.
pub fn limit_key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}
