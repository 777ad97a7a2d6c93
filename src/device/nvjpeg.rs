//! nvJPEG, NVIDIA's decoder, opened at run time like the rest of CUDA: JPEGs to pixels in a card's memory.
//!
//! Here is the C interface and nothing else. Which pictures may go through it, and what becomes of those that it refuses, is
//! told in `infer`: a picture has been walked whole on the CPU before ([`crate::photo`]), so that damage is refused alike
//! whoever decodes. The names and numbers are those of nvjpeg.h of CUDA 13.0; `tests/device` holds them to that header, and
//! to the library, where they are at hand.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, OnceLock};

use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtrMut, DriverError};
use libloading::Library;

use super::cuda::{library, places};

/// The library's names; the first is what a message names.
const NAMES: [&str; 2] = ["libnvjpeg.so.13", "libnvjpeg.so"];

/// `NVJPEG_OUTPUT_RGBI`: red, green, blue, one after the other.
pub const OUTPUT_RGBI: c_int = 5;
/// `NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION`: colours between their samples, as the CPU's decoder makes them.
pub const FLAG_INTERPOLATE: c_uint = 1 << 5;
/// `NVJPEG_STATUS_SUCCESS`.
const SUCCESS: c_int = 0;
/// Where pictures begin in a buffer: at multiples of what CUDA itself allocates by.
const ALIGNMENT: usize = 256;
/// What the statuses mean, by number.
const STATUS: [&str; 11] = [
    "success",
    "not initialised",
    "invalid parameter",
    "bad JPEG",
    "JPEG not supported",
    "out of memory (ALLOC_FAILED)",
    "execution failed",
    "not for this card",
    "internal error",
    "not implemented",
    "incomplete bitstream",
];

/// Which part of a card decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Backend {
    /// Huffman codes on a CPU core for small batches and on the card for large ones, the rest on the card.
    Hybrid = 2,
    /// Engines made for it, beside the multiprocessors.
    Hardware = 3,
}

impl Backend {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Hybrid => "multiprocessors",
            Backend::Hardware => "decoding engines",
        }
    }
}

/// Where a picture goes: `nvjpegImage_t`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Image {
    /// Device pointers; interleaved pixels use the first alone.
    pub channel: [*mut u8; 4],
    /// Bytes from row to row.
    pub pitch: [usize; 4],
}

macro_rules! api {
    ($($field:ident = $symbol:literal: fn($($kind:ty),*);)*) => {
        /// The functions that are used.
        struct Api {
            $($field: unsafe extern "C" fn($($kind),*) -> c_int,)*
        }

        /// What is looked for in the library.
        pub const SYMBOLS: &[&str] = &[$($symbol),*];

        impl Api {
            fn of(library: &'static Library) -> Result<Api, String> {
                Ok(Api {
                    $(
                        // SAFETY: the declared type is that of nvjpeg.h, and the library stays open for good.
                        $field: *unsafe { library.get(concat!($symbol, "\0").as_bytes()) }
                            .map_err(|_| format!("{} lacks {}", NAMES[0], $symbol))?,
                    )*
                })
            }
        }
    };
}

api! {
    property = "nvjpegGetProperty": fn(c_int, *mut c_int);
    create = "nvjpegCreateEx": fn(c_int, *mut c_void, *mut c_void, c_uint, *mut *mut c_void);
    destroy = "nvjpegDestroy": fn(*mut c_void);
    state_create = "nvjpegJpegStateCreate": fn(*mut c_void, *mut *mut c_void);
    state_destroy = "nvjpegJpegStateDestroy": fn(*mut c_void);
    header_create = "nvjpegJpegStreamCreate": fn(*mut c_void, *mut *mut c_void);
    header_destroy = "nvjpegJpegStreamDestroy": fn(*mut c_void);
    header_parse = "nvjpegJpegStreamParseHeader": fn(*mut c_void, *const u8, usize, *mut c_void);
    dimensions = "nvjpegJpegStreamGetFrameDimensions": fn(*mut c_void, *mut c_uint, *mut c_uint);
    supported = "nvjpegDecodeBatchedSupported": fn(*mut c_void, *mut c_void, *mut c_int);
    batch_initialize = "nvjpegDecodeBatchedInitialize": fn(*mut c_void, *mut c_void, c_int, c_int, c_int);
    batch_decode = "nvjpegDecodeBatched": fn(*mut c_void, *mut c_void, *const *const u8, *const usize, *mut Image, *mut c_void);
}

/// The library, opened once; else what was looked for.
fn api() -> Result<&'static Api, String> {
    static OPENED: OnceLock<Result<Api, String>> = OnceLock::new();
    OPENED.get_or_init(|| open(&NAMES)).as_ref().map_err(Clone::clone)
}

fn open(names: &[&str]) -> Result<Api, String> {
    let missing = || format!("looked for {} and not found: nvJPEG ({})", places(), names.join(", "));
    Api::of(library(names).ok_or_else(missing)?)
}

/// The library's version, such as "13.0.1"; needs no card.
///
/// # Errors
/// What was looked for and not found.
pub fn version() -> Result<String, String> {
    let api = api()?;
    let mut parts = [0; 3];
    for (which, part) in (0..).zip(&mut parts) {
        // SAFETY: a pointer to a local.
        told("asking its version", unsafe { (api.property)(which, part) })?;
    }
    Ok(parts.map(|part| part.to_string()).join("."))
}

fn told(what: &str, status: c_int) -> Result<(), String> {
    match status {
        SUCCESS => Ok(()),
        _ => {
            let text = usize::try_from(status).ok().and_then(|at| STATUS.get(at)).unwrap_or(&"unknown");
            Err(format!("nvJPEG, {what}: {text} (status {status})"))
        }
    }
}

/// A decoder on one card. One thread at a time may use it.
pub struct NvJpeg {
    api: &'static Api,
    context: Arc<CudaContext>,
    handle: *mut c_void,
    state: *mut c_void,
    header: *mut c_void,
    backend: Backend,
    /// Pictures that the state is prepared for.
    prepared: usize,
}

// SAFETY: the handles belong to the library, which ties none of them to a thread; they are used by one at a time, because every
// method takes the decoder by unique reference.
unsafe impl Send for NvJpeg {}

impl std::fmt::Debug for NvJpeg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NvJpeg({})", self.backend.name())
    }
}

impl NvJpeg {
    /// Opens the card's decoding engines where it has some, else its multiprocessors.
    ///
    /// # Errors
    /// Where the library is missing or refuses the card.
    pub fn new(context: Arc<CudaContext>) -> Result<NvJpeg, String> {
        let api = api()?;
        context.bind_to_thread().map_err(|error| format!("CUDA: {error}"))?;
        let mut decoder = NvJpeg {
            api,
            context,
            handle: null_mut(),
            state: null_mut(),
            header: null_mut(),
            backend: Backend::Hardware,
            prepared: 0,
        };
        // SAFETY: null allocators mean CUDA's own; the pointer is to a field. A card without engines refuses the first.
        let create = |backend: Backend, handle: &mut *mut c_void| unsafe {
            (api.create)(backend as c_int, null_mut(), null_mut(), FLAG_INTERPOLATE, handle)
        };
        if create(Backend::Hardware, &mut decoder.handle) != SUCCESS {
            decoder.handle = null_mut();
            decoder.backend = Backend::Hybrid;
            told("opening a decoder", create(Backend::Hybrid, &mut decoder.handle))?;
        }
        // SAFETY: the handle was made above; the pointers are to fields.
        unsafe {
            told("making its state", (api.state_create)(decoder.handle, &mut decoder.state))?;
            told("making its reader", (api.header_create)(decoder.handle, &mut decoder.header))?;
        }
        Ok(decoder)
    }

    /// Which part of the card decodes.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Takes a picture if it decodes such in a batch, and reads the same size in it.
    pub fn accept<'a>(&mut self, jpeg: &'a [u8], (width, height): (usize, usize)) -> Option<Accepted<'a>> {
        let (mut refused, mut columns, mut rows) = (1, 0, 0);
        // SAFETY: handle and reader are this decoder's own; the bytes are as long as is said; pointers are to locals. The
        // reader holds the header once it is parsed.
        let read = unsafe {
            (self.api.header_parse)(self.handle, jpeg.as_ptr(), jpeg.len(), self.header) == SUCCESS
                && (self.api.dimensions)(self.header, &mut columns, &mut rows) == SUCCESS
                && (self.api.supported)(self.handle, self.header, &mut refused) == SUCCESS
        };
        let same = (columns as usize, rows as usize) == (width, height);
        (read && same && refused == 0).then_some(Accepted { jpeg, width, height })
    }

    /// Decodes pictures, red, green, blue, as they are stored. What comes back is written once `stream` comes to it; the card
    /// is done with the encoded bytes.
    ///
    /// # Errors
    /// What library and driver say, out of memory among it; then there is no picture of the batch.
    pub fn decode(&mut self, pictures: &[Accepted<'_>], stream: &Arc<CudaStream>) -> Result<Decoded, String> {
        let cuda = |error: DriverError| format!("CUDA: {error}");
        self.context.bind_to_thread().map_err(cuda)?;
        let mut total = 0;
        let mut offsets = Vec::with_capacity(pictures.len());
        for picture in pictures {
            offsets.push(total);
            total += (picture.width * picture.height * 3).next_multiple_of(ALIGNMENT);
        }
        // SAFETY: the decoder fills each picture; the rest is never read.
        let mut bytes = unsafe { stream.alloc::<u8>(total.max(1)) }.map_err(cuda)?;
        if pictures.is_empty() {
            return Ok(Decoded { bytes, offsets });
        }
        self.prepare(pictures.len())?;
        {
            let (start, _written) = bytes.device_ptr_mut(stream);
            let place = |(picture, &offset): (&Accepted<'_>, &usize)| Image {
                channel: [(start + offset as u64) as *mut u8, null_mut(), null_mut(), null_mut()],
                pitch: [picture.width * 3, 0, 0, 0],
            };
            let mut places: Vec<Image> = pictures.iter().zip(&offsets).map(place).collect();
            let pointers: Vec<*const u8> = pictures.iter().map(|picture| picture.jpeg.as_ptr()).collect();
            let lengths: Vec<usize> = pictures.iter().map(|picture| picture.jpeg.len()).collect();
            // SAFETY: as many pointers, lengths and places as the state is prepared for. Each place has room for the size that
            // the library itself read in the header, on the stream on which it was allocated; the bytes live until the stream
            // has been waited for.
            let status = unsafe {
                (self.api.batch_decode)(
                    self.handle,
                    self.state,
                    pointers.as_ptr(),
                    lengths.as_ptr(),
                    places.as_mut_ptr(),
                    stream.cu_stream().cast(),
                )
            };
            // Also after a failure: what was begun reads the bytes.
            let waited = stream.synchronize().map_err(cuda);
            if status != SUCCESS {
                self.prepared = 0;
            }
            told("decoding", status)?;
            waited?;
        }
        Ok(Decoded { bytes, offsets })
    }

    fn prepare(&mut self, count: usize) -> Result<(), String> {
        if self.prepared != count {
            self.prepared = 0;
            let pictures = c_int::try_from(count).map_err(|error| error.to_string())?;
            // SAFETY: handle and state are this decoder's own.
            let status = unsafe { (self.api.batch_initialize)(self.handle, self.state, pictures, 1, OUTPUT_RGBI) };
            told("preparing a batch", status)?;
            self.prepared = count;
        }
        Ok(())
    }
}

/// A picture that the decoder has read the header of and takes.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    jpeg: &'a [u8],
    width: usize,
    height: usize,
}

/// Pictures on a card, as they are stored: rows without gaps, red, green, blue.
#[derive(Debug)]
pub struct Decoded {
    /// Of all of them.
    pub bytes: CudaSlice<u8>,
    /// Where each begins.
    pub offsets: Vec<usize>,
}

impl Drop for NvJpeg {
    fn drop(&mut self) {
        // Without its context the handles are gone already.
        if self.context.bind_to_thread().is_err() {
            return;
        }
        // SAFETY: made by `new`, destroyed once, in the reverse order; what was never made is null.
        unsafe {
            for (made, destroy) in [
                (self.header, self.api.header_destroy),
                (self.state, self.api.state_destroy),
                (self.handle, self.api.destroy),
            ] {
                if !made.is_null() {
                    destroy(made);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let error = open(&["libnvjpeg-of-nobody.so.13"]).err().unwrap();
        assert!(error.contains("libnvjpeg-of-nobody.so.13"), "{error}");
    }

    #[test]
    fn a_library_without_the_functions_is_not_taken() {
        let error = open(&["libc.so.6"]).err().unwrap();
        assert!(error.contains("lacks nvjpegGetProperty"), "{error}");
    }

    #[test]
    fn statuses_are_said_in_words() {
        assert!(told("decoding", 0).is_ok());
        assert!(told("decoding", 3).unwrap_err().contains("decoding: bad JPEG"));
        assert!(told("decoding", 5).unwrap_err().contains("ALLOC_FAILED"), "so that parts are halved");
        assert!(told("decoding", -7).unwrap_err().contains("unknown"));
    }
}
