//! The source of the Metal kernels as one text: Metal's compiler is given a string and has no folder to include from.
//!
//! It is here whatever the binary was built for, so that the tests compile, for the CPU, the very text that a Mac compiles.

/// The shared bodies, then the entries; each header is there once.
const PARTS: [&str; 10] = [
    include_str!("../../../kernels/metal/prelude.h"),
    include_str!("../../../kernels/core/faces.h"),
    include_str!("../../../kernels/core/suppress.h"),
    include_str!("../../../kernels/core/network.h"),
    include_str!("../../../kernels/core/search.h"),
    include_str!("../../../kernels/metal/faces.metal"),
    include_str!("../../../kernels/metal/conv.metal"),
    include_str!("../../../kernels/metal/pointwise.metal"),
    include_str!("../../../kernels/metal/pool.metal"),
    include_str!("../../../kernels/metal/search.metal"),
];

/// All of `kernels/metal`, with what its files include of `kernels` put in their place.
pub fn source() -> String {
    let lines = PARTS.iter().flat_map(|part| part.lines());
    lines.filter(|line| !line.starts_with("#include \"")).flat_map(|line| [line, "\n"]).collect()
}
