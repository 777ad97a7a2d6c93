//! The kernels by name.

/// One way to compute the same dot products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Portable Rust: the definition.
    Plain,
    /// 256-bit `pmaddubsw` on absolute probe values, which cannot saturate: 2 * 127 * 127 < 2^15.
    Avx2,
    /// 256-bit `vpdpbusd`.
    AvxVnni,
    /// 512-bit `vpdpbusd`.
    Avx512Vnni,
    /// Tiles of AMX int8: used only where a first run agrees with [`Kernel::Plain`].
    Amx,
    /// 128-bit `sdot` of Arm.
    Neon,
}

impl Kernel {
    /// All kernels, slowest first.
    pub const ALL: &'static [Kernel] =
        &[Kernel::Plain, Kernel::Avx2, Kernel::AvxVnni, Kernel::Avx512Vnni, Kernel::Amx, Kernel::Neon];

    /// The name in `run.json` and benches.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Plain => "plain",
            Kernel::Avx2 => "avx2",
            Kernel::AvxVnni => "avx-vnni",
            Kernel::Avx512Vnni => "avx512-vnni",
            Kernel::Amx => "amx-int8",
            Kernel::Neon => "neon-dotprod",
        }
    }
}
