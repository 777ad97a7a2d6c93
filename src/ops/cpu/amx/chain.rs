//! Layers one behind the other, band by band: what lies between two of them never leaves the cache.
//!
//! A band is some rows of the last layer's output, or, where maps are small, whole images. For each band every layer computes
//! the rows that the next one needs and has not yet; rows under a kernel that reaches into the next band are kept and moved to
//! the front of their window, so nothing is computed twice. A window lies in the form in which it is read: rounded rows for
//! a matrix product, f32 for a depthwise convolution. Products of several images are one product, so that weights are read
//! once for all of them.
//!
//! A single layer is a chain of one. Every output is computed from its own inputs in a fixed order, so bands, images in a
//! batch and threads change no bit.

use std::cell::RefCell;
use std::ops::Range;

use super::super::Line;
use super::super::depthwise::{Depthwise, Output};
use super::super::lanes::{BF16, F32, SPLIT};
use super::dense::Dense;
use super::rows::{self, Lines};
use super::sink::{Addend, Form, Sink};
use super::window::{Window, grow};
use super::{Tiles, pool};
use crate::ops::check::Values;
use crate::ops::spec::ConvShape;

/// Bytes of windows that a band may fill: half of a second-level cache of 2 MiB, for weights need room too.
const BAND: usize = 768 << 10;
/// The same of a band of several images: the more of them, the fewer times weights are read.
const IMAGES: usize = 1280 << 10;
/// Bytes of weights that layers of one chain may have together: they are read anew for every band.
const WEIGHTS: usize = 384 << 10;
/// Pixels of a band that weights should serve at least, each time they are read.
const PIXELS: usize = 48;
/// Rows that a product reads beyond the last: it takes them 32 at a time.
const BEYOND: usize = 32;

/// One layer.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Of any kernel, but behind another layer 1x1 alone.
    Dense(Dense),
    Depthwise(Depthwise),
    /// The largest of each 2x2 square, as a depthwise kernel of that size.
    MaxPool2(ConvShape),
}

/// One forward pass.
pub(crate) struct Call<'a> {
    pub(crate) x: Values<'a>,
    /// Images, height and width of the input.
    pub(crate) sides: [usize; 3],
    /// Null where there is none; else of the shape of the result.
    pub(crate) residual: Addend,
    /// The result, without gaps, f32 or bf16.
    pub(crate) y: *mut u8,
    pub(crate) form: Form,
}

#[derive(Default)]
struct Scratch {
    /// In front of the first layer, and behind every layer but the last.
    windows: Vec<Window>,
    lines: Vec<Line>,
    taps: Vec<*const f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Stage {
    pub(crate) fn shape(&self) -> &ConvShape {
        match self {
            Stage::Dense(dense) => &dense.shape,
            Stage::Depthwise(depthwise) => depthwise.shape(),
            Stage::MaxPool2(shape) => shape,
        }
    }

    /// [`Stage::MaxPool2`] of so many channels.
    pub(crate) fn max_pool2(channels: usize) -> Self {
        let (kernel, pad) = ([2, 2], [0; 4]);
        Stage::MaxPool2(ConvShape { cin: channels, cout: channels, kernel, stride: 2, pad, groups: channels })
    }

    /// Bytes of the weights that a matrix product reads.
    fn weights(&self) -> usize {
        if let Stage::Dense(dense) = self { dense.bytes() } else { 0 }
    }

    /// Whether it may stand behind another layer.
    pub(crate) fn follows(&self) -> bool {
        match self {
            Stage::Dense(dense) => dense.is_pointwise(),
            Stage::Depthwise(_) | Stage::MaxPool2(_) => true,
        }
    }

    /// The form in which it reads a window, and the bytes of a pixel there.
    fn reads(&self) -> (Form, usize) {
        match self {
            Stage::Dense(dense) => (dense.form(), dense.pixel()),
            Stage::Depthwise(_) | Stage::MaxPool2(_) => (Form::F32, 4 * self.shape().cin),
        }
    }

    /// The rows of its input that some rows of its output are made from.
    fn needs(&self, rows: &Range<usize>, height: usize) -> Range<usize> {
        let ConvShape { kernel: [ky, _], stride, pad, .. } = *self.shape();
        let start = (rows.start * stride).saturating_sub(pad[0]).min(height);
        let end = ((rows.end - 1) * stride + ky).saturating_sub(pad[0]).min(height);
        start..end.max(start)
    }
}

/// How many of the first layers run best as one, for an input of these sides: as many as have few weights and large bands.
///
/// Nothing but the layers and the sides decides, so an image has the same roundings in any batch.
pub(crate) fn together(stages: &[&Stage], [mut h, mut w]: [usize; 2]) -> usize {
    let (mut bytes, mut weights, mut count) = (0, 0, 0);
    while count < stages.len() {
        // A layer by channels and the product that reads its result are never parted.
        let pair = !matches!(stages[count], Stage::Dense(_)) && count + 1 < stages.len();
        let next = count + if pair { 2 } else { 1 };
        for stage in &stages[count..next] {
            let (oh, ow) = stage.shape().output(h, w);
            bytes += stage.reads().1 * if stage.follows() { h * w } else { oh * ow };
            weights += stage.weights();
            (h, w) = (oh, ow);
        }
        let band = if bytes <= BAND { h } else { (h * BAND / bytes).max(1) } * w;
        let fits = weights <= WEIGHTS && (bytes <= BAND || band >= PIXELS);
        if count > 0 && !fits {
            break;
        }
        count = next;
    }
    count
}

/// Computes every element of `call.y`.
///
/// # Safety
/// AMX bf16 is granted. There are layers, each takes the channels of the one before, all but the first [`Stage::follows`].
/// The input has the sides and the channels of the first layer, no map is empty, and `y` and `residual` are good for the
/// whole result.
pub(crate) unsafe fn run(stages: &[&Stage], call: &Call<'_>) {
    SCRATCH.with_borrow_mut(|scratch| {
        // SAFETY: the caller's promise.
        let tiles = unsafe { Tiles::set_up() };
        let pass = Pass::new(stages, call, &tiles);
        pass.prepare(scratch);
        let (n, oh) = (call.sides[0], pass.maps[stages.len()][0]);
        for image in (0..n).step_by(pass.images) {
            let images = image..(image + pass.images).min(n);
            for window in &mut scratch.windows {
                window.held = 0..0;
            }
            let pieces = oh.div_ceil(pass.rows);
            for piece in 0..pieces {
                let rows = oh * piece / pieces..oh * (piece + 1) / pieces;
                // SAFETY: the caller's promise.
                unsafe { pass.band(scratch, &images, rows) };
            }
        }
    });
}

/// A call with what follows from its sides.
struct Pass<'a> {
    stages: &'a [&'a Stage],
    call: &'a Call<'a>,
    tiles: &'a Tiles,
    /// Height, width and channels in front of the first layer and behind each.
    maps: Vec<[usize; 3]>,
    /// Images that go through together; one where a band is a part of it.
    images: usize,
    /// Most rows of the result in a band.
    rows: usize,
}

impl<'a> Pass<'a> {
    fn new(stages: &'a [&'a Stage], call: &'a Call<'a>, tiles: &'a Tiles) -> Self {
        let [n, h, w] = call.sides;
        let mut maps = vec![[h, w, stages[0].shape().cin]];
        for stage in stages {
            let [h, w, _] = maps[maps.len() - 1];
            let (oh, ow) = stage.shape().output(h, w);
            maps.push([oh, ow, stage.shape().cout]);
        }
        // A first layer with a kernel reads as many rows as it has outputs.
        let read = |i: usize| if stages[i].follows() { maps[i] } else { maps[i + 1] };
        let bytes = |i: usize| read(i)[0] * read(i)[1] * stages[i].reads().1;
        // What a first layer by channels reads is widened one image at a time.
        let (once, each) = if let Stage::Dense(_) = stages[0] { (0, 0) } else { (bytes(0), 1) };
        let image = (each..stages.len()).map(bytes).sum::<usize>().max(1);
        let oh = maps[stages.len()][0];
        let (images, rows) = match once + image <= BAND {
            true => ((IMAGES.saturating_sub(once) / image).clamp(1, n), oh),
            false => (1, (oh * BAND / (once + image)).clamp(1, oh)),
        };
        Pass { stages, call, tiles, maps, images, rows }
    }

    /// Makes room for the windows, with zeros behind the channels of rounded rows.
    fn prepare(&self, scratch: &mut Scratch) {
        let mut rows = self.rows;
        if scratch.windows.len() < self.stages.len() {
            scratch.windows.resize_with(self.stages.len(), Window::default);
        }
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let [height, width, channels] = self.maps[i];
            let read =
                if stage.follows() { stage.needs(&(0..rows), usize::MAX).len() + stage.shape().pad[0] } else { rows };
            rows = read.min(if stage.follows() { height } else { usize::MAX });
            let (form, pixel) = stage.reads();
            // A first layer with a kernel gathers its rows: as many as it has outputs.
            let width = if stage.follows() { width } else { self.maps[i + 1][1] };
            let window = &mut scratch.windows[i];
            (window.pixel, window.width, window.form) = (pixel, width, Some(form));
            let images = if i == 0 && !matches!(stage, Stage::Dense(_)) { 1 } else { self.images };
            let floats = ((images * rows * width + BEYOND) * pixel).div_ceil(4);
            grow(&mut window.memory, floats);
            if form != Form::F32 && i > 0 && pixel != 2 * channels {
                window.memory[..floats.div_ceil(16)].fill(Line([0.0; 16]));
            }
        }
    }

    /// Computes some rows of the result.
    ///
    /// # Safety
    /// As for [`run`].
    unsafe fn band(&self, scratch: &mut Scratch, images: &Range<usize>, rows: Range<usize>) {
        let last = self.stages.len() - 1;
        // What each layer has to compute now, last first.
        let mut now = vec![rows];
        for i in (1..=last).rev() {
            let needed = self.stages[i].needs(&now[0], self.maps[i][0]);
            let window = &mut scratch.windows[i];
            window.advance(&needed);
            now.insert(0, window.held.end.max(needed.start)..needed.end);
            window.held = needed;
        }
        for (i, rows) in now.into_iter().enumerate() {
            if rows.is_empty() {
                continue;
            }
            // SAFETY: the caller's promise; windows have room for what is needed.
            unsafe {
                match self.stages[i] {
                    Stage::Dense(dense) => self.dense(scratch, (i, dense), images, rows),
                    _ => self.by_channel(scratch, i, images, rows),
                }
            }
        }
    }

    /// Where a layer writes a row of an image, and what is added there.
    fn target(
        &self,
        scratch: &mut Scratch,
        i: usize,
        images: &Range<usize>,
        image: usize,
        row: usize,
    ) -> (Sink, Addend) {
        let [height, width, channels] = self.maps[i + 1];
        if i + 1 == self.stages.len() {
            let at = (image * height + row) * width;
            let Call { y, form, residual, .. } = *self.call;
            return (Sink { at: y, pixel: channels * form.size(), form }.after(at), residual.after(at));
        }
        let window = &mut scratch.windows[i + 1];
        let rows = if images.len() > 1 { height } else { 0 };
        let at = ((image - images.start) * rows + row - window.held.start) * width;
        let form = window.form.unwrap_or(Form::F32);
        (Sink { at: window.memory.as_mut_ptr().cast(), pixel: window.pixel, form }.after(at), Addend::NONE)
    }

    /// # Safety
    /// As for [`run`]; the rows are the ones to compute now.
    unsafe fn dense(
        &self,
        scratch: &mut Scratch,
        (i, dense): (usize, &Dense),
        images: &Range<usize>,
        rows: Range<usize>,
    ) {
        let [height, width, channels] = self.maps[i];
        let ow = self.maps[i + 1][1];
        let (sink, residual) = self.target(scratch, i, images, images.start, rows.start);
        let count = images.len() * rows.len() * ow;
        let window = &mut scratch.windows[i];
        let memory = window.memory.as_mut_ptr().cast::<u8>();
        let mut source = (memory.cast_const(), window.pixel);
        // SAFETY: the caller's promise; the window has room for the rows and those beyond.
        unsafe {
            if i > 0 {
                source.0 = source.0.add((rows.start - window.held.start) * width * window.pixel);
            } else if dense.is_pointwise() {
                let first = (images.start * height + rows.start) * width;
                match as_it_lies(self.call, dense, first, count) {
                    Some(at) => source = (at, 2 * channels),
                    None => {
                        let to = (memory, window.pixel);
                        rows::round(self.call.x, [first, count, channels], to, dense.depth, dense.form());
                    }
                }
            } else {
                self.gather(scratch, dense, images, rows);
            }
            dense.multiply(self.tiles, source, count, sink, residual);
        }
    }

    /// Puts the rows of a first layer with a kernel together.
    ///
    /// # Safety
    /// As for [`Pass::dense`].
    unsafe fn gather(&self, scratch: &mut Scratch, dense: &Dense, images: &Range<usize>, rows: Range<usize>) {
        let ([height, width, _], [_, ow, _]) = (self.maps[0], self.maps[1]);
        let ConvShape { kernel: [ky, _], stride, pad, .. } = dense.shape;
        let split = dense.form() != Form::Bf16;
        let line = Lines::bytes(&dense.shape, ow, split);
        let count = (rows.len() - 1) * stride + ky;
        grow(&mut scratch.lines, (count * line).div_ceil(4));
        let form = if split { Form::Split(line / 2) } else { Form::Bf16 };
        let lines = Lines { at: scratch.lines.as_mut_ptr().cast(), line, form };
        let window = &mut scratch.windows[0];
        let mut to = window.memory.as_mut_ptr().cast::<u8>();
        for image in images.clone() {
            // SAFETY: the caller's promise; there is room for the lines and the rows.
            unsafe {
                for number in 0..count {
                    let inside = (rows.start * stride + number).checked_sub(pad[0]).filter(|&iy| iy < height);
                    let from = inside.map(|iy| (self.call.x, (image * height + iy) * width, width));
                    lines.fill(number, &dense.shape, from);
                }
                for row in 0..rows.len() {
                    lines.gather(row * stride, &dense.shape, ow, (to, window.pixel), dense.depth);
                    to = to.add(ow * window.pixel);
                }
            }
        }
    }

    /// A layer that treats every channel by itself.
    ///
    /// # Safety
    /// As for [`Pass::dense`].
    unsafe fn by_channel(&self, scratch: &mut Scratch, i: usize, images: &Range<usize>, rows: Range<usize>) {
        let [height, width, channels] = self.maps[i];
        let ow = self.maps[i + 1][1];
        let ConvShape { kernel: [ky, _], stride, pad, .. } = *self.stages[i].shape();
        let mut from = vec![std::ptr::null(); ky];
        let mut taps = std::mem::take(&mut scratch.taps);
        for image in images.clone() {
            let window = &mut scratch.windows[i];
            let (base, first) = match (i, self.call.x) {
                (0, Values::F32(x)) => (x.as_ptr().wrapping_add(image * height * width * channels), 0),
                (0, Values::Bf16(x)) => {
                    // SAFETY: the caller's promise.
                    unsafe { self.widen(window, x.as_ptr().cast(), (image, images.len() > 1), &rows) };
                    (window.memory.as_ptr().cast::<f32>(), window.held.start)
                }
                _ => {
                    let image = if images.len() > 1 { (image - images.start) * height } else { 0 };
                    let base = window.memory.as_ptr().cast::<f32>();
                    (base.wrapping_add(image * width * channels), window.held.start)
                }
            };
            for row in rows.clone() {
                for (dy, line) in from.iter_mut().enumerate() {
                    let inside = (row * stride + dy).checked_sub(pad[0]).filter(|&iy| iy < height);
                    let at = inside.map(|iy| base.wrapping_add((iy - first) * width * channels));
                    *line = at.unwrap_or(std::ptr::null());
                }
                let (sink, residual) = self.target(scratch, i, images, image, row);
                let form = match sink.form {
                    Form::F32 => F32,
                    Form::Bf16 => BF16,
                    Form::Split(_) => SPLIT,
                };
                let to = Output { at: sink.at, pixel: sink.pixel, form, low: sink.form.low() };
                // SAFETY: the lines hold the rows under the kernel; what is added to such a layer is f32.
                unsafe {
                    match self.stages[i] {
                        Stage::Depthwise(layer) => layer.line(&from, width, &mut taps, residual.at.cast(), to),
                        _ => pool::line([from[0], from[1]], ow, channels, sink),
                    }
                }
            }
        }
        scratch.taps = taps;
    }

    /// Widens the rows of a bf16 input that a first layer needs and, unless the image is `new`, does not hold yet.
    ///
    /// # Safety
    /// As for [`Pass::dense`].
    unsafe fn widen(&self, window: &mut Window, x: *const u8, (image, new): (usize, bool), rows: &Range<usize>) {
        let [height, width, channels] = self.maps[0];
        let needed = self.stages[0].needs(rows, height);
        if new {
            window.held = 0..0;
        }
        window.advance(&needed);
        let missing = window.held.end.max(needed.start)..needed.end;
        let line = width * channels;
        let from = x.wrapping_add(2 * (image * height + missing.start) * line);
        let to = window.memory.as_mut_ptr().cast::<f32>().wrapping_add((missing.start - needed.start) * line);
        // SAFETY: the caller's promise.
        unsafe { rows::widen(from, to, missing.len() * line) };
        window.held = needed;
    }
}

/// Pixels of the input that can be multiplied where they are: bf16, in whole steps, with as many behind them as a product
/// reads.
fn as_it_lies(call: &Call<'_>, dense: &Dense, first: usize, count: usize) -> Option<*const u8> {
    let channels = dense.shape.cin;
    let (Values::Bf16(x), Form::Bf16) = (call.x, dense.form()) else { return None };
    let fits = channels == dense.depth && (first + count.next_multiple_of(BEYOND)) * channels <= x.len();
    fits.then(|| x[first * channels..].as_ptr().cast())
}
