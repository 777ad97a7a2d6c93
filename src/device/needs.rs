//! What a card, its driver and its memory must have. Pure, so that every refusal is tested where there is no card.

/// What was found instead, and what to do.
pub(super) type Refusal = (String, String);

/// As the driver numbers CUDA 13.0, for which the kernels are compiled.
const DRIVER: i32 = 13_000;
/// The oldest compute capability that there is code for (`build.rs`): Ampere, 2020.
const CAPABILITY: (i32, i32) = (8, 0);
/// Bytes that must be free: the networks, cuBLAS's workspace and a picture at a time.
const FREE: u64 = 1 << 30;

/// A driver for CUDA 13.0 or later.
pub(super) fn driver(version: i32) -> Result<(), Refusal> {
    if version >= DRIVER {
        return Ok(());
    }
    let found = format!("the NVIDIA driver is for CUDA {}; CUDA 13.0 or later is needed", dotted(version));
    Err((found, "install an NVIDIA driver 580 or later, or use --device cpu or auto".to_owned()))
}

/// A version as people write it.
pub(super) fn dotted(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// A card that there is code for.
pub(super) fn capability(name: &str, found: (i32, i32)) -> Result<(), Refusal> {
    if found >= CAPABILITY {
        return Ok(());
    }
    let ((major, minor), (least, below)) = (found, CAPABILITY);
    let found = format!("{name} has compute capability {major}.{minor}; {least}.{below} (Ampere) or later is needed");
    Err((found, "choose another card of `chehra devices`, or use --device cpu or auto".to_owned()))
}

/// Enough free memory to begin with.
pub(super) fn memory(name: &str, free: u64, total: u64) -> Result<(), Refusal> {
    if free >= FREE {
        return Ok(());
    }
    let [free, total, needed] = [free, total, FREE].map(|bytes| bytes >> 20);
    let found = format!("{name} has {free} MiB of its {total} MiB of memory free; {needed} MiB are needed");
    Err((found, "end what else uses the card (`nvidia-smi` lists it), or use --device cpu or auto".to_owned()))
}

/// Where libraries were looked for: the folders named in `variable`, with those that are not there, and the loader's own.
pub(super) fn places(variable: &str, value: Option<&str>, exists: impl Fn(&str) -> bool) -> String {
    let folders = value.unwrap_or_default().split(':').filter(|folder| !folder.is_empty());
    let said: Vec<String> = folders
        .map(|folder| if exists(folder) { folder.to_owned() } else { format!("{folder} (no such folder)") })
        .collect();
    match said.is_empty() {
        true => format!("in the loader's folders ({variable} is not set)"),
        false => format!("in {} ({variable}) and in the loader's folders", said.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_of_an_earlier_cuda_is_refused_by_both_numbers() {
        assert!([13_000, 13_010, 14_000].into_iter().all(|version| driver(version).is_ok()));
        let (found, fix) = driver(12_040).unwrap_err();
        assert!(found.contains("CUDA 12.4") && found.contains("13.0") && fix.contains("580"), "{found}; {fix}");
    }

    #[test]
    fn a_card_without_code_for_it_is_refused_by_name() {
        assert!([(8, 0), (8, 9), (9, 0), (12, 0)].into_iter().all(|found| capability("x", found).is_ok()));
        let (found, fix) = capability("Tesla T4", (7, 5)).unwrap_err();
        assert!(found.contains("Tesla T4") && found.contains("7.5") && found.contains("8.0"), "{found}");
        assert!(fix.contains("chehra devices"), "{fix}");
    }

    #[test]
    fn a_full_card_is_refused_by_its_numbers() {
        assert!(memory("x", 1 << 30, 8 << 30).is_ok());
        let (found, fix) = memory("NVIDIA A10", 300 << 20, 24 << 30).unwrap_err();
        assert!(found.contains("300 MiB of its 24576 MiB") && found.contains("1024 MiB are needed"), "{found}");
        assert!(fix.contains("nvidia-smi"), "{fix}");
    }

    #[test]
    fn places_name_folders_that_are_not_there() {
        assert!(places("V", None, |_| true).contains("V is not set"));
        assert!(places("V", Some(":"), |_| true).contains("V is not set"));
        let said = places("V", Some("/a:/b"), |folder| folder == "/a");
        assert_eq!(said, "in /a, /b (no such folder) (V) and in the loader's folders");
    }
}
