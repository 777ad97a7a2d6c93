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

/// Every plain JPEG of the fixtures, in one batch: taken, and a few levels from the CPU's pixels at most.
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
    let taken: Vec<_> =
        plain.iter().filter_map(|(jpeg, ..)| decoder.accept(jpeg.bytes, (jpeg.width, jpeg.height))).collect();
    assert_eq!(taken.len(), plain.len(), "every plain picture is taken");
    assert!(decoder.accept(plain[0].0.bytes, (plain[0].0.width + 1, plain[0].0.height)).is_none());
    // Twice, the second time another number of pictures, so that the state is prepared anew.
    for some in [&taken[..], &taken[..taken.len() / 2]] {
        let decoded = decoder.decode(some, &stream).unwrap();
        let host = stream.clone_dtoh(&decoded.bytes).unwrap();
        for ((jpeg, photo, path), &offset) in plain.iter().zip(&decoded.offsets) {
            // Turned pictures are compared where they are stored upright; the kernel that turns them has tests of its own.
            if jpeg.orientation == 1 {
                let found = &host[offset..offset + photo.rgb.len()];
                let apart = found.iter().zip(&photo.rgb).map(|(a, b)| f64::from(a.abs_diff(*b)));
                let (most, mean) = (apart.clone().fold(0.0, f64::max), apart.sum::<f64>() / found.len() as f64);
                println!("{}: {mean:.3} levels apart in the mean, {most} at most", path.display());
                assert!(mean < 1.0 && most <= 48.0, "{}: {mean}, {most}", path.display());
            }
        }
    }
}
