//! The report for people: a table and bars.

use std::fmt;

use super::{BenchReport, Run, median};

/// Characters of the longest bar.
const BAR: f64 = 40.0;

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = &self.machine;
        writeln!(f, "{}, {} cores, {} threads; convolutions {}, scan {}", m.cpu, m.cores, m.threads, m.isa, m.kernel)?;
        let peaks = [("f32", m.peak_gmac_s), ("bf16", m.peak_bf16_gmac_s)];
        let peaks: Vec<String> =
            peaks.iter().filter_map(|(name, peak)| Some(format!("{:.0} {name}", (*peak)?))).collect();
        writeln!(f, "one core could do {} Gmac/s and reads {:.1} GB/s", peaks.join(", "), m.read_gb_s)?;
        writeln!(f, "chehra {}, {}, networks in {}", self.program, self.models.join(" "), self.precision)?;
        if let Some(jpeg) = &self.jpeg {
            let who = jpeg.library.as_deref().filter(|_| jpeg.on_card()).unwrap_or("the cores");
            writeln!(f, "networks on {}; JPEGs decoded by {who} ({})", self.device, jpeg.reason)?;
        }
        self.see(f)?;
        if let Some(audit) = &self.audit {
            let (wall, cpu) = (median(audit.runs.iter().map(|r| r.wall_s)), median(audit.runs.iter().map(|r| r.cpu_s)));
            let selfies = audit.selfies.max(1) as f64;
            write!(f, "\naudit      {} selfies, ", audit.selfies)?;
            write!(f, "{:.1} selfies/s, {:.1} ms processor a selfie", selfies / wall, 1000.0 * cpu / selfies)?;
            write!(f, ", cores busy {:.0} %", 100.0 * cpu / wall / m.threads.max(1) as f64)?;
            spread(f, &audit.runs)?;
        }
        if let Some(search) = &self.search {
            let cpu = median(search.runs.iter().map(|r| r.cpu_s)).max(1e-9);
            let pairs = (search.rows * search.probes) as f64;
            write!(f, "\nsearch     {} probes against {} templates, ", search.probes, search.rows)?;
            write!(f, "{:.0} million pairs a core and second ({})", pairs / cpu / 1e6, search.kernel)?;
            spread(f, &search.runs)?;
        }
        if let Some(peak) = self.peak_mib {
            write!(f, "\nmemory     {peak} MiB at its peak")?;
        }
        Ok(())
    }
}

impl BenchReport {
    fn see(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let see = &self.see;
        let selfies = see.selfies.max(1) as f64;
        let (wall, cpu) = (see.median(|r| r.wall_s), see.median(|r| r.cpu_s));
        writeln!(f, "\nsee        {} selfies, {} pictures, {} faces", see.selfies, see.pictures, see.faces)?;
        let busy = 100.0 * cpu / wall / self.machine.threads.max(1) as f64;
        let images = see.pictures as f64 / selfies / wall;
        write!(
            f,
            "           {:.1} selfies/s, {images:.1} images/s, {:.1} ms processor a selfie",
            1.0 / wall,
            1000.0 * cpu
        )?;
        write!(f, ", cores busy {busy:.0} %")?;
        spread(f, &see.runs)?;
        let (gmac, peak) = (see.gmac / selfies, median(see.runs.iter().map(|r| r.peak_gmac_s)));
        if peak > 0.0 {
            write!(f, "\n           {gmac:.2} Gmac a selfie: ")?;
            self.roofline(f, gmac / cpu, peak)?;
        }
        let most = see.stages_cpu_s.iter().fold(1e-12, |most: f64, stage| most.max(stage.1));
        let total: f64 = see.stages_cpu_s.iter().map(|stage| stage.1).sum::<f64>().max(1e-12);
        for (name, seconds) in &see.stages_cpu_s {
            let bar = "#".repeat((BAR * seconds / most).round() as usize);
            let (cost, share) = (1000.0 * seconds / selfies, 100.0 * seconds / total);
            write!(f, "\n  {name:<12} {cost:>7.2} ms {share:>5.1} %  {bar}")?;
        }
        Ok(())
    }
}

impl BenchReport {
    /// What share of the processor's arithmetic is used, and what memory allows: a core needs so many multiply-adds for
    /// each byte it fetches, or waits for memory; a pass over the pixels cannot take less time than reading them does.
    fn roofline(&self, f: &mut fmt::Formatter<'_>, rate: f64, peak: f64) -> fmt::Result {
        let m = &self.machine;
        write!(f, "{rate:.1} Gmac/s a core, {:.0} % of its roof in f32", 100.0 * rate / peak)?;
        if let (Some(f32_peak), Some(bf16)) = (m.peak_gmac_s, m.peak_bf16_gmac_s) {
            write!(f, ", {:.0} % in bf16", 100.0 * rate / (peak * bf16 / f32_peak))?;
        }
        write!(f, "; memory bounds what does less than {:.1} mac a byte", peak / m.read_gb_s.max(1e-9))?;
        let selfies = self.see.selfies.max(1) as f64;
        let (megabytes, least) = (self.see.pixel_bytes as f64 / selfies / 1e6, self.see.pixel_bytes as f64 / selfies);
        write!(f, "\n           {megabytes:.1} MB of pixels a selfie: reading them once takes at least ")?;
        write!(f, "{:.2} ms", least / m.read_gb_s.max(1e-9) / 1e6)
    }
}

/// How far the runs lie apart.
fn spread(f: &mut fmt::Formatter<'_>, runs: &[Run]) -> fmt::Result {
    let middle = median(runs.iter().map(|r| r.cpu_s)).max(1e-12);
    let far = runs.iter().map(|r| (r.cpu_s / middle - 1.0).abs()).fold(0.0, f64::max);
    write!(f, " ({} runs, within {:.0} %)", runs.len(), 100.0 * far)
}
