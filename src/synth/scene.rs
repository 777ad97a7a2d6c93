//! People before a background: what a phone's lens would have seen.
//!
//! Face collections are small and tight (LFW: 250 x 250 with the face in the middle), so a person is cut out with a
//! soft head-and-shoulders mask around the face box, and the body is continued downwards as cloth in the colours of
//! the picture's lower edge. No detector and no segmentation: the same mask for everybody, feathered so that the
//! picture's own background melts into the new one.

use super::canvas::{Canvas, Field, Pixel, mix, smoothstep};
use super::people::Source;
use super::rng::Rng;

/// Where one person is put.
#[derive(Debug, Clone, Copy)]
pub struct Stand {
    /// Middle of the face, in pixels of the frame.
    pub centre: [f32; 2],
    /// Height of the face box in pixels of the frame.
    pub height: f32,
    /// Rotation in radians, clockwise.
    pub angle: f32,
    /// Left and right exchanged.
    pub mirror: bool,
    /// Light on this person.
    pub gain: f32,
}

/// A wall, leaves, a room out of focus or a blur of `own` colours. Never a hard rectangle, which would look like a screen.
pub fn background(rng: &mut Rng, width: usize, height: usize, own: Option<&Canvas>) -> Canvas {
    // Everything here is smooth, so a quarter of the resolution is enough.
    let (w, h) = ((width / 4).max(8), (height / 4).max(8));
    let mut small = match rng.below(4) {
        0 => wall(rng, w, h),
        1 => leaves(rng, w, h),
        2 => room(rng, w, h),
        _ => match own {
            Some(own) => out_of_focus(rng, w, h, own),
            None => wall(rng, w, h),
        },
    };
    let fine = Field::new(rng, w, h, w / 3);
    small.each(|x, y, p| *p = p.map(|v| v + 2.5 * fine.at(x, y)));
    small.resized(width, height)
}

fn muted(rng: &mut Rng, low: f32, high: f32) -> Pixel {
    let grey = rng.between(low, high);
    std::array::from_fn(|_| grey + rng.between(-22.0, 22.0))
}

fn wall(rng: &mut Rng, w: usize, h: usize) -> Canvas {
    let colour = muted(rng, 110.0, 215.0);
    let (light, stains, plaster) = (Field::new(rng, w, h, 2), Field::new(rng, w, h, 12), Field::new(rng, w, h, 60));
    let mut out = Canvas::new(w, h, colour);
    out.each(|x, y, p| {
        let shade = 16.0 * light.at(x, y) + 5.0 * stains.at(x, y) + 4.0 * plaster.at(x, y);
        *p = p.map(|v| v + shade);
    });
    out
}

fn leaves(rng: &mut Rng, w: usize, h: usize) -> Canvas {
    let green = [70.0, 100.0, 52.0].map(|v: f32| v + rng.between(-18.0, 18.0));
    let (bushes, twigs, edge) = (Field::new(rng, w, h, 10), Field::new(rng, w, h, 34), Field::new(rng, w, h, 6));
    let horizon = rng.between(0.1, 0.5);
    let mut out = Canvas::new(w, h, green);
    out.each(|x, y, p| {
        let shade = 26.0 * bushes.at(x, y) + 15.0 * twigs.at(x, y);
        let leaf = [p[0] + 0.9 * shade, p[1] + shade, p[2] + 0.6 * shade];
        let sky = smoothstep(horizon + 0.12, horizon - 0.12, y as f32 / h as f32 + 0.08 * edge.at(x, y));
        *p = mix(leaf, [186.0, 205.0, 226.0], sky);
    });
    out
}

fn room(rng: &mut Rng, w: usize, h: usize) -> Canvas {
    let mut out = Canvas::new(w, h, muted(rng, 90.0, 190.0));
    for _ in 0..12 {
        let centre = [rng.between(0.0, w as f32), rng.between(0.0, h as f32)];
        let radii = [rng.between(0.05, 0.25) * w as f32, rng.between(0.05, 0.35) * h as f32];
        let (colour, turn) = (muted(rng, 40.0, 220.0), rng.between(0.0, std::f32::consts::PI));
        let (sin, cos) = turn.sin_cos();
        out.each(|x, y, p| {
            let (dx, dy) = (x as f32 - centre[0], y as f32 - centre[1]);
            let (u, v) = ((dx * cos + dy * sin) / radii[0], (dy * cos - dx * sin) / radii[1]);
            *p = mix(*p, colour, 0.8 * smoothstep(1.25, 0.75, (u * u + v * v).sqrt()));
        });
    }
    out
}

fn out_of_focus(rng: &mut Rng, w: usize, h: usize, own: &Canvas) -> Canvas {
    let strip = own.cropped(0, 0, own.width, own.height / 3);
    let mut out = strip.resized(5, 3).resized(w, h);
    let texture = Field::new(rng, w, h, 20);
    out.each(|x, y, p| *p = p.map(|v| v + 5.0 * texture.at(x, y)));
    out
}

/// How much of the picture's point `u`, `v` belongs to the person; both relative to the middle of the face, in units of
/// its width and height: an ellipse for the head, joined by shoulders that widen below the chin.
fn opacity(u: f32, v: f32) -> f32 {
    let head = ((u / 0.70).powi(2) + ((v + 0.04) / 0.71).powi(2)).sqrt();
    let head = smoothstep(1.09, 0.91, head);
    let half = if v < 0.62 { 0.36 + 0.57 * (v - 0.36) / 0.26 } else { 0.93 + 0.45 * ((v - 0.62) / 0.7).min(1.0) };
    let body = smoothstep(half + 0.06, half - 0.06, u.abs()) * smoothstep(0.34, 0.40, v);
    head.max(body)
}

/// A cut-out, ready to be drawn many times.
struct Cutout {
    picture: Canvas,
    /// Centre, width and height of the face.
    face: [f32; 4],
    /// Where the picture gives way to cloth, in rows.
    hem: f32,
    /// The colours of the picture's lower part by column, near the hem and further down.
    cloth: [Vec<Pixel>; 2],
}

impl Cutout {
    /// Reduced so that drawing it at `height` never skips pixels, and sharpened when it must be enlarged.
    fn new(source: &Source, height: f32) -> Self {
        let [mut x, mut y, mut w, mut h] = source.face;
        let mut picture = None;
        while h > 1.5 * height && w > 4.0 {
            picture = Some(picture.as_ref().unwrap_or(&source.picture).halved());
            [x, y, w, h] = [x, y, w, h].map(|v| v / 2.0);
        }
        let picture = picture.unwrap_or_else(|| source.picture.clone());
        let picture = if height > 1.25 * h { picture.sharpened(0.6) } else { picture };
        // Aligned collections have black wedges along their edges: cloth starts a good way above the lower one.
        let hem = (picture.height as f32 * 0.86).max(y + h * 1.05).min(picture.height as f32 - 1.0);
        let near = lower_colours(&picture, hem, (w * 0.08).max(1.0));
        let far = lower_colours(&picture, hem, w * 0.5);
        Cutout { face: [x + w / 2.0, y + h / 2.0, w, h], hem, cloth: [near, far], picture }
    }

    fn colour(&self, x: f32, y: f32, folds: f32) -> Pixel {
        let fade = smoothstep(self.hem - 0.06 * self.face[3], self.hem, y);
        let mut out = if fade < 1.0 { self.picture.bicubic(x, y) } else { [0.0; 3] };
        if fade > 0.0 {
            // Further down the columns melt into one another, or the body would hang down in strips.
            let column = (x.max(0.0) as usize).min(self.cloth[0].len() - 1);
            let depth = smoothstep(0.0, 0.7, (y - self.hem) / self.face[3]);
            let cloth = mix(self.cloth[0][column], self.cloth[1][column], depth);
            out = mix(out, cloth.map(|v| v * (1.0 + 0.14 * folds)), fade);
        }
        out
    }
}

/// The mean colour of the rows above `hem`, for each column, over `reach` columns to either side.
fn lower_colours(picture: &Canvas, hem: f32, reach: f32) -> Vec<Pixel> {
    let rows = 4.max(picture.height / 20);
    let mean = |column: usize| {
        let mut sum = [0.0; 3];
        for row in 0..rows {
            super::canvas::add(&mut sum, picture.at(column as isize, hem as isize - row as isize), 1.0 / rows as f32);
        }
        sum
    };
    let columns: Vec<Pixel> = (0..picture.width).map(mean).collect();
    let reach = reach as usize;
    let blurred = |k: usize| {
        let window = &columns[k.saturating_sub(reach)..(k + reach + 1).min(columns.len())];
        let mut sum = [0.0; 3];
        window.iter().for_each(|p| super::canvas::add(&mut sum, *p, 1.0 / window.len() as f32));
        sum
    };
    (0..columns.len()).map(blurred).collect()
}

/// Puts a person on the canvas.
pub fn put(canvas: &mut Canvas, source: &Source, stand: &Stand, rng: &mut Rng) {
    let cutout = Cutout::new(source, stand.height);
    let [cx, cy, w, h] = cutout.face;
    let scale = stand.height / h;
    let (sin, cos) = stand.angle.sin_cos();
    let folds = Field::new(rng, canvas.width, canvas.height, 14);
    // The person never reaches further than this from the middle of the face, but downwards to the frame's end.
    let reach = scale * (1.6 * w).max(1.0 * h) * 1.2;
    let left = (stand.centre[0] - reach).max(0.0) as usize;
    let right = ((stand.centre[0] + reach).max(0.0) as usize).min(canvas.width);
    let top = (stand.centre[1] - reach).max(0.0) as usize;
    for y in top..canvas.height {
        for x in left..right {
            let (dx, dy) = ((x as f32 - stand.centre[0]) / scale, (y as f32 - stand.centre[1]) / scale);
            let (mut u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
            if stand.mirror {
                u = -u;
            }
            let alpha = opacity(u / w, v / h);
            if alpha > 0.0 {
                let colour = cutout.colour(cx + u, cy + v, folds.at(x, y)).map(|c| c * stand.gain);
                let pixel = &mut canvas.pixels[y * canvas.width + x];
                *pixel = mix(*pixel, colour, alpha);
            }
        }
    }
}

/// What a phone adds: exposure, white balance, vignetting, a little blur, and grain that its denoiser has smoothed.
pub fn camera(rng: &mut Rng, picture: &Canvas, noise: [f32; 2]) -> Canvas {
    let (width, height) = (picture.width, picture.height);
    let (gamma, vignette) = (rng.between(0.88, 1.14), rng.between(0.02, 0.12));
    let gain: Pixel = {
        let exposure = rng.between(0.93, 1.06);
        std::array::from_fn(|_| exposure * rng.between(0.975, 1.025))
    };
    let curve: Vec<f32> = (0..=1024).map(|k| 255.0 * (k as f32 / 1024.0).powf(gamma)).collect();
    let mut out = picture.softened(rng.between(0.4, 0.7));
    let level = rng.between(noise[0], noise[1]);
    let mut grain = vec![0.0f32; width * height];
    grain.iter_mut().for_each(|g| *g = rng.normal() * level);
    out.each(|x, y, p| {
        let (u, v) = (2.0 * x as f32 / width as f32 - 1.0, 2.0 * y as f32 / height as f32 - 1.0);
        let shade = 1.0 - vignette * (u * u + v * v);
        // Averaging with the neighbour makes the grain coarser than a pixel, as demosaicing does.
        let here = y * width + x;
        let speck = 0.75 * (grain[here] + grain[here.saturating_sub(1)]);
        for c in 0..3 {
            let tone = curve[(p[c].clamp(0.0, 255.0) * (1024.0 / 255.0)) as usize];
            p[c] = tone * gain[c] * shade + speck;
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rng::Use;

    #[test]
    fn the_mask_covers_face_and_chest_and_nothing_beside() {
        for inside in [(0.0, 0.0), (0.4, 0.3), (0.0, -0.5), (0.0, 0.9), (0.9, 1.3)] {
            assert!(opacity(inside.0, inside.1) > 0.95, "{inside:?}");
        }
        for outside in [(0.9, 0.0), (0.0, -0.9), (0.7, 0.4), (1.5, 1.5)] {
            assert!(opacity(outside.0, outside.1) < 0.05, "{outside:?}");
        }
    }

    #[test]
    fn a_person_lands_where_told() {
        let mut picture = Canvas::new(100, 100, [10.0; 3]);
        picture.each(|x, y, p| {
            if (45..55).contains(&x) && (40..50).contains(&y) {
                *p = [250.0, 0.0, 0.0];
            }
        });
        let source = Source { picture, face: [32.0, 25.5, 36.0, 40.0] };
        let mut rng = Rng::new(1, Use::Layout, 1);
        let mut canvas = Canvas::new(200, 200, [128.0; 3]);
        let stand = Stand { centre: [60.0, 80.0], height: 80.0, angle: 0.0, mirror: false, gain: 1.0 };
        put(&mut canvas, &source, &stand, &mut rng);
        assert!(canvas.at(60, 78)[0] > 200.0);
        assert_eq!(canvas.at(190, 20), [128.0; 3]);
        assert!(canvas.at(60, 199)[0] < 60.0, "the body goes on to the lower edge");
    }
}
