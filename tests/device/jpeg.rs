//! nvJPEG: what can be told without a card (the header that it was written after, the library's functions), and with one
//! (its pixels beside the CPU's).

use std::path::PathBuf;
use std::process::Command;

use candle_core::Device;
use chehra::config::policy::PhotoLimits;
use chehra::device::nvjpeg::{self, NvJpeg};
use chehra::photo;

use crate::engine::fixtures;

/// `nvjpeg.h` of a CUDA toolkit that `CUDA_HOME` names, and a C compiler to read it.
pub fn header() -> Result<PathBuf, String> {
    let home = std::env::var_os("CUDA_HOME").ok_or("CUDA_HOME names no CUDA toolkit")?;
    let folder = PathBuf::from(home).join("include");
    let there = folder.join("nvjpeg.h").exists();
    there.then_some(folder).ok_or_else(|| "the toolkit in CUDA_HOME has no nvjpeg.h".to_owned())
}

/// The numbers, the structure and the functions' types are those of the header.
pub fn the_interface_is_that_of_the_header() {
    let folder = header().unwrap();
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("check.c");
    let image = (size_of::<nvjpeg::Image>(), std::mem::offset_of!(nvjpeg::Image, pitch));
    let text = format!(
        "#include <stddef.h>\n#include <nvjpeg.h>\n\
         _Static_assert(sizeof(nvjpegImage_t) == {} && offsetof(nvjpegImage_t, pitch) == {}, \"image\");\n\
         _Static_assert(NVJPEG_OUTPUT_RGBI == {}, \"output\");\n\
         _Static_assert(NVJPEG_BACKEND_GPU_HYBRID == {} && NVJPEG_BACKEND_HARDWARE == {}, \"backend\");\n\
         _Static_assert((NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION) == {}, \"flag\");\n\
         _Static_assert(NVJPEG_STATUS_SUCCESS == 0 && NVJPEG_STATUS_ALLOCATOR_FAILURE == 5, \"status\");\n\
         _Static_assert(sizeof(nvjpegStatus_t) == 4 && sizeof(nvjpegBackend_t) == 4, \"enums\");\n{}",
        image.0,
        image.1,
        nvjpeg::OUTPUT_RGBI,
        nvjpeg::Backend::Hybrid as i32,
        nvjpeg::Backend::Hardware as i32,
        nvjpeg::FLAG_INTERPOLATE,
        FUNCTIONS
    );
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut check = Command::new(compiler);
    check.args(["-std=c11", "-Werror", "-fsyntax-only", "-I"]).arg(folder).arg(&source);
    let built = check.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for symbol in nvjpeg::SYMBOLS {
        assert!(FUNCTIONS.contains(&format!("= {symbol};")), "{symbol} is not held to the header");
    }
}

/// Each function assigned to a pointer of the type that the program calls it by; opaque handles are pointers there.
const FUNCTIONS: &str = "\
typedef nvjpegHandle_t H; typedef nvjpegJpegState_t S; typedef nvjpegJpegStream_t J; typedef nvjpegStatus_t R;
R (*a)(libraryPropertyType, int*) = nvjpegGetProperty;
R (*b)(nvjpegBackend_t, nvjpegDevAllocator_t*, nvjpegPinnedAllocator_t*, unsigned, H*) = nvjpegCreateEx;
R (*c)(H) = nvjpegDestroy;
R (*d)(H, S*) = nvjpegJpegStateCreate;
R (*e)(S) = nvjpegJpegStateDestroy;
R (*f)(H, J*) = nvjpegJpegStreamCreate;
R (*g)(J) = nvjpegJpegStreamDestroy;
R (*h)(H, const unsigned char*, size_t, J) = nvjpegJpegStreamParseHeader;
R (*i)(J, unsigned*, unsigned*) = nvjpegJpegStreamGetFrameDimensions;
R (*j)(H, J, int*) = nvjpegDecodeBatchedSupported;
R (*k)(H, S, int, int, nvjpegOutputFormat_t) = nvjpegDecodeBatchedInitialize;
R (*l)(H, S, const unsigned char* const*, const size_t*, nvjpegImage_t*, cudaStream_t) = nvjpegDecodeBatched;
";

/// Every function is there under its name, and the library answers; no card is needed for that.
pub fn the_library_has_the_functions() {
    let version = nvjpeg::version().unwrap();
    println!("nvJPEG {version}");
    assert!(version.starts_with("13."), "{version}");
}

/// Every plain JPEG of the fixtures: which are taken, and how far their pixels are from the CPU's, all printed, then judged. A
/// picture that the library refuses is the cores' work and no fault, unless it is of the kind that phones write.
pub fn pixels_are_those_of_the_cpu(device: &Device) {
    let stream = device.as_cuda_device().unwrap().cuda_stream();
    let mut decoder = NvJpeg::new(stream.context().clone()).unwrap();
    println!("{decoder:?}");
    let limits = PhotoLimits { min_side: 1, ..PhotoLimits::default() };
    let mut files = Vec::new();
    for folder in ["faces", "photos/good", "photos/face"] {
        files.extend(std::fs::read_dir(fixtures().join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    let bytes: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let walked = bytes.iter().zip(&files).filter_map(|(bytes, path)| Some((photo::walk(bytes, &limits).ok()?, path)));
    let plain: Vec<_> =
        walked.filter_map(|(walked, path)| Some((walked.plain_jpeg()?, walked.decode().ok()?, path))).collect();
    assert!(plain.len() > 12, "{}", plain.len());
    let mut faults = Vec::new();
    let (mut taken, mut pictures) = (Vec::new(), Vec::new());
    for picture @ (jpeg, _, path) in &plain {
        let kind = sampling(jpeg.bytes).unwrap_or_else(|| "no frame header".to_owned());
        match decoder.accept(jpeg.bytes, (jpeg.width, jpeg.height)) {
            Some(accepted) => {
                println!("{}: taken ({kind})", path.display());
                taken.push(accepted);
                pictures.push(picture);
            }
            None => {
                println!("{}: refused ({kind})", path.display());
                if USUAL.contains(&kind.as_str()) {
                    faults.push(format!("{} is refused ({kind})", path.display()));
                }
            }
        }
    }
    if decoder.accept(plain[0].0.bytes, (plain[0].0.width + 1, plain[0].0.height)).is_some() {
        faults.push("a picture of another size than its header says is taken".to_owned());
    }
    // Twice, the second time another number of pictures, so that the state is prepared anew; where a batch fails, one by one.
    for count in [taken.len(), taken.len() / 2] {
        match decoder.decode(&taken[..count], &stream) {
            Ok(decoded) => {
                let host = stream.clone_dtoh(&decoded.bytes).unwrap();
                let apart =
                    pictures.iter().zip(&decoded.offsets).filter_map(|(picture, &at)| far(picture, &host[at..]));
                faults.extend(apart);
            }
            Err(error) => {
                faults.push(format!("{count} pictures together: {error}"));
                for (one, (.., path)) in taken.iter().zip(&pictures).take(count) {
                    let said =
                        decoder.decode(&[*one], &stream).map_or_else(|error| error, |_| "decoded alone".to_owned());
                    println!("{}: {said}", path.display());
                }
            }
        }
    }
    assert!(taken.len() > 6, "{} of {} pictures are taken", taken.len(), plain.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What phones write: baseline (SOF0), three components, colours at half the columns or also half the rows.
const USUAL: [&str; 2] = ["SOF0 2x2 1x1 1x1", "SOF0 2x1 1x1 1x1"];

/// A JPEG's kind: the marker of its frame, and the sampling factors of each component (ITU-T T.81, B.2.2).
fn sampling(jpeg: &[u8]) -> Option<String> {
    let mut at = 2;
    loop {
        let (&[0xff, marker], &[high, low]) =
            (jpeg.get(at..at + 2)?.first_chunk()?, jpeg.get(at + 2..at + 4)?.first_chunk()?)
        else {
            return None;
        };
        if matches!(marker, 0xc0..=0xc3) {
            let count = usize::from(*jpeg.get(at + 9)?);
            let factors = jpeg.get(at + 10..at + 10 + 3 * count)?.chunks_exact(3).map(|component| component[1]);
            let factors: Vec<String> = factors.map(|both| format!("{}x{}", both >> 4, both & 15)).collect();
            return Some(format!("SOF{} {}", marker & 15, factors.join(" ")));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

/// Every plain JPEG of the fixtures has a kind, and what phones write is among them.
pub fn kinds_of_pictures_are_told() {
    let limits = PhotoLimits { min_side: 1, ..PhotoLimits::default() };
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for folder in ["faces", "photos/good", "photos/face"] {
        for entry in std::fs::read_dir(fixtures().join(folder)).unwrap() {
            let (path, bytes) = entry.map(|entry| (entry.path(), std::fs::read(entry.path()).unwrap())).unwrap();
            if let Some(jpeg) = photo::walk(&bytes, &limits).ok().and_then(|walked| walked.plain_jpeg()) {
                let kind = sampling(jpeg.bytes).unwrap_or_else(|| panic!("{}: no frame header", path.display()));
                *kinds.entry(kind).or_default() += 1;
            }
        }
    }
    println!("{kinds:?}");
    assert!(kinds.len() > 1 && USUAL.iter().any(|kind| kinds.contains_key(*kind)), "{kinds:?}");
}

/// Prints how far the card's pixels are from the CPU's, and says where that is too far.
fn far((jpeg, photo, path): &(photo::PlainJpeg<'_>, photo::Photo, &PathBuf), found: &[u8]) -> Option<String> {
    // Turned pictures are compared where they are stored upright; the kernel that turns them has tests of its own.
    if jpeg.orientation != 1 {
        return None;
    }
    let found = &found[..photo.rgb.len()];
    let apart = found.iter().zip(&photo.rgb).map(|(a, b)| f64::from(a.abs_diff(*b)));
    let (most, mean) = (apart.clone().fold(0.0, f64::max), apart.sum::<f64>() / found.len() as f64);
    let said = format!("{}: {mean:.3} levels apart in the mean, {most} at most", path.display());
    println!("{said}");
    (mean >= 1.0 || most > 48.0).then_some(said)
}
