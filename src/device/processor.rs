//! What the system says of the processor.

/// The processor, as it calls itself.
pub fn name() -> String {
    fact(&["model name"]).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Those of the processor's features that our kernels use or could use.
pub fn features() -> Vec<String> {
    const PREFIXES: [&str; 9] = ["ssse3", "avx", "fma", "f16c", "bmi2", "sha", "amx", "asimd", "sve"];
    const OTHERS: [&str; 3] = ["bf16", "i8mm", "sme"];
    let flags = fact(&["flags", "Features"]).unwrap_or_default();
    let ours = |flag: &&str| PREFIXES.iter().any(|p| flag.starts_with(p)) || OTHERS.contains(flag);
    flags.split_whitespace().filter(ours).map(str::to_owned).collect()
}

/// What Linux says of the first processor under one of these names.
fn fact(names: &[&str]) -> Option<String> {
    let facts = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let mut pairs = facts.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value.trim().to_owned())
}
