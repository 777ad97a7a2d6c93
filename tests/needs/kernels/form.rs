//! What arguments must look like: refused where they do not fit, numbered in order on Metal, within what a GPU has.

use std::path::Path;

use candle_core::{CpuStorage, Device, Storage};
use chehra::ops::gpu::{Arg, File, Gpu, Grid, Kernel};
use chehra::ops::params::{
    ConvParams, CropRegion, DecodeParams, DecodePicture, PixelParams, Plain, SearchHit, SearchParams, SearchReach,
    ShrinkPicture, UprightPicture, WarpFace,
};

use super::shim::dialects;

/// The check itself can fail: each mistake in a list of arguments is found, and named by its place.
pub fn arguments_that_do_not_fit_are_refused() {
    let kernel = Kernel { file: File::Pointwise, name: "sigmoid_f32", grid: Grid::elements(3).unwrap() };
    let floats = || Storage::Cpu(CpuStorage::F32(vec![0.0; 3]));
    let (x, count, short) = (floats(), 3i64, 3i32);
    let halves = Storage::Cpu(CpuStorage::F16(vec![half::f16::ZERO; 3]));
    for shim in dialects() {
        let run = |args: &mut [Arg<'_>]| shim.launch(&Device::Cpu, kernel, args).map_err(|e| e.to_string());
        let (mut y, mut z) = (floats(), floats());
        run(&mut [Arg::In(&x, 0), Arg::Out(&mut y), Arg::value(&count)]).unwrap();
        let Storage::Cpu(CpuStorage::F32(values)) = &y else { panic!("{y:?}") };
        assert_eq!(values, &[0.5; 3]);
        let refused = |args: &mut [Arg<'_>], why: &str| {
            let error = run(args).unwrap_err();
            assert!(error.contains(why), "{error} for {why}");
        };
        refused(&mut [Arg::In(&x, 0), Arg::Out(&mut y)], "does not take 2 arguments");
        refused(&mut [Arg::In(&x, 0), Arg::In(&x, 0), Arg::value(&count)], "argument 1 of");
        refused(&mut [Arg::In(&x, 0), Arg::Out(&mut y), Arg::value(&short)], "argument 2 of");
        refused(&mut [Arg::In(&halves, 0), Arg::Out(&mut y), Arg::value(&count)], "argument 0 of");
        refused(&mut [Arg::In(&x, 0), Arg::Out(&mut y), Arg::Out(&mut z)], "argument 2 of");
        let unknown = Kernel { name: "no_such_entry", ..kernel };
        assert!(shim.launch(&Device::Cpu, unknown, &mut []).is_err());
    }
}

pub fn a_launch_has_as_many_threads_as_elements() {
    for (count, blocks) in [(1, 1), (255, 1), (256, 1), (257, 2), (1 << 20, 4096)] {
        let grid = Grid::elements(count).unwrap();
        assert_eq!((grid.blocks, grid.threads), ([blocks, 1], 256));
    }
    assert!(Grid::elements(1 << 40).is_err());
}

/// The structures of `src/ops/params.rs` and those of `kernels/core`, field by field.
pub fn structures_are_those_of_the_kernels() {
    let core = ["faces.h", "network.h", "search.h"].map(|name| source(&format!("core/{name}"))).concat();
    check::<PixelParams>(&core, "PixelParams");
    check::<WarpFace>(&core, "WarpFace");
    check::<CropRegion>(&core, "CropRegion");
    check::<ShrinkPicture>(&core, "ShrinkPicture");
    check::<UprightPicture>(&core, "UprightPicture");
    check::<DecodePicture>(&core, "DecodePicture");
    check::<DecodeParams>(&core, "DecodeParams");
    check::<ConvParams>(&core, "ConvParams");
    check::<SearchParams>(&core, "SearchParams");
    check::<SearchReach>(&core, "SearchReach");
    check::<SearchHit>(&core, "SearchHit");
}

fn source(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels").join(name)).unwrap()
}

/// Types and names of a structure's fields in a text, C++ or Rust, arrays taken apart.
fn fields(text: &str, opening: &str, types: &[(&str, &str)]) -> Vec<(String, String)> {
    let body = text.split_once(opening).unwrap_or_else(|| panic!("no {opening}")).1;
    let body = &body[..body.find("\n}").unwrap()];
    let lines = body.lines().map(|line| line.split("//").next().unwrap().trim()).filter(|line| !line.is_empty());
    let known = |name: &str| types.iter().find(|(own, _)| *own == name).map(|(_, common)| (*common).to_owned());
    let mut found = Vec::new();
    for line in lines {
        let line = line.trim_start_matches("pub ").trim_end_matches([',', ';']);
        if let Some((name, kind)) = line.split_once(": ") {
            found.push((known(kind).unwrap_or_else(|| panic!("{line}")), name.to_owned()));
        } else {
            let (kind, names) = line.split_once(' ').unwrap();
            let kind = known(kind).unwrap_or_else(|| panic!("{line}"));
            found.extend(names.split(',').map(|name| (kind.clone(), name.trim().to_owned())));
        }
    }
    found
}

fn check<T: Plain>(core: &str, name: &str) {
    let c = [("int", "i32"), ("uint", "u32"), ("wide", "i64"), ("float", "f32")];
    let rust = [("i32", "i32"), ("u32", "u32"), ("i64", "i64"), ("f32", "f32"), ("[f32; 2]", "pair")];
    let params = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/params.rs")).unwrap();
    let own = fields(&params, &format!("pub struct {name} {{"), &rust).into_iter().flat_map(|(kind, name)| {
        // Two of a kind are two fields over there.
        let ends: &[&str] = match (kind.as_str(), name.as_str()) {
            ("pair", "ratio") => &["_x", "_y"],
            ("pair", _) => &["_width", "_height"],
            _ => &[""],
        };
        let kind = if kind == "pair" { "f32".to_owned() } else { kind };
        ends.iter().map(move |end| (kind.clone(), format!("{name}{end}"))).collect::<Vec<_>>()
    });
    let own: Vec<_> = own.collect();
    assert_eq!(own, fields(core, &format!("struct {name} {{"), &c), "{name}");
    let size: usize = own.iter().map(|(kind, _)| if kind == "i64" { 8 } else { 4 }).sum();
    assert_eq!(size, size_of::<T>(), "{name}");
}

/// What a product of numbers and of names that a text defines comes to.
fn product(terms: &str, text: &str) -> usize {
    let value = |term: &str| {
        let defined = text.split_once(&format!("#define {term} "));
        let number = defined.map_or(term, |(_, rest)| rest.split_whitespace().next().unwrap());
        number.parse::<usize>().unwrap_or_else(|_| panic!("{term}"))
    };
    terms.split('*').map(|term| value(term.trim())).product()
}

/// The n-th argument of a Metal entry is buffer n, there are at most 31 of them, and the arrays that threads share fit into
/// the 32 KiB that every Metal GPU has.
pub fn metal_buffers_are_numbered_in_order() {
    let mut entries = 0;
    let all = chehra::ops::gpu::msl::source();
    for name in ["faces", "conv", "pointwise", "pool", "search"] {
        let text = source(&format!("metal/{name}.metal")).replace("\\\n", "\n");
        for entry in text.split("kernel void ").skip(1) {
            let head = &entry[..entry.find('{').unwrap()];
            let numbers: Vec<usize> =
                head.split("AT_BUFFER(").skip(1).map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect();
            assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "{head}");
            let arguments = head.matches("device ").count() + head.matches("constant ").count();
            assert_eq!(arguments, numbers.len(), "{head}");
            assert!((2..=31).contains(&numbers.len()), "{head}");
            // What an entry is told of its place, in the order in which the shim tells it.
            let told: Vec<&str> = head.split("[[").skip(1).map(|rest| rest.split("]]").next().unwrap()).collect();
            let one = head.contains("INDEX_ARGUMENT") && told.is_empty();
            let three = ["threadgroup_position_in_grid", "thread_position_in_threadgroup", "threads_per_threadgroup"];
            let two = ["threadgroup_position_in_grid", "thread_index_in_threadgroup"];
            assert!(one || told == two || told == three, "{head}");
            let arrays = entry.lines().filter_map(|line| line.trim().strip_prefix("threadgroup ")?.split_once('['));
            let shared: usize = arrays.map(|(_, size)| 4 * product(size.split(']').next().unwrap(), &all)).sum();
            assert!(shared <= 32 << 10, "{shared} bytes: {head}");
            assert_eq!(shared > 0, told != [""; 0], "{head}");
            entries += 1;
        }
        assert!(
            !text.contains("atomic_ulong") && !text.contains("double"),
            "{name}: not there before Apple9, or at all"
        );
    }
    assert_eq!(entries, 3 + 3 + 3 + 6 + 3 + 1, "a file whose entries were not found");
}
