//! Stands in for a kind of device for which this binary was not built: `device::open` has refused it before.

use candle_core::{DType, Device, Result, Storage, bail};

use super::launch::{Arg, File, Gpu, Grid, Kernel};

/// Refuses everything.
pub(super) struct Launcher;

impl Gpu for Launcher {
    fn upload(&self, device: &Device, _: &[&[u8]]) -> Result<Storage> {
        refuse(device)
    }

    fn room(&self, device: &Device, _: DType, _: usize) -> Result<Storage> {
        refuse(device)
    }

    fn read(&self, from: &Storage, _: &mut [u8]) -> Result<()> {
        refuse(&from.device())
    }

    fn launch(&self, device: &Device, _: Kernel<'_>, _: &mut [Arg<'_>]) -> Result<()> {
        refuse(device)
    }

    fn scan(&self, _: usize, _: usize, _: usize) -> Kernel<'static> {
        Kernel { file: File::Search, name: "none", grid: Grid { blocks: [0, 0], threads: 0, shared: 0 } }
    }

    fn scan_name(&self) -> &'static str {
        "none"
    }
}

fn refuse<T>(device: &Device) -> Result<T> {
    bail!("this binary was built without kernels for {:?}", device.location())
}
