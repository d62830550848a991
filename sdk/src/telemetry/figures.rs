//! Figures of the process itself, read when somebody looks. Where the system does not tell one (no `/proc`), it is absent.

use super::exposition::Page;
use haul_core::telemetry::{
    PROCESS_CPU_SECONDS_TOTAL, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY_BYTES,
    PROCESS_START_TIME_SECONDS,
};
use rustix::{
    param::page_size,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};
use std::fs;

/// Writes them.
pub(super) fn write(page: &mut Page) {
    let cpu_seconds = seconds(ClockId::ProcessCPUTime);
    page.put(PROCESS_CPU_SECONDS_TOTAL, &[], cpu_seconds);
    if let Some(pages) = resident_pages() {
        page.put(PROCESS_RESIDENT_MEMORY_BYTES, &[], pages * page_size());
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Without the one that they are read by.
        page.put(PROCESS_OPEN_FDS, &[], open.count().saturating_sub(1));
    }
    if let Some(max) = getrlimit(Resource::Nofile).current {
        page.put(PROCESS_MAX_FDS, &[], max);
    }
    if let Some(age) = age_seconds() {
        page.put(PROCESS_START_TIME_SECONDS, &[], format_args!("{:.2}", seconds(ClockId::Realtime) - age));
    }
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970, and nanoseconds below a billion")]
    let (whole, part) = (time.tv_sec as f64, time.tv_nsec as f64);
    whole + part / 1e9
}

/// The second number of `/proc/self/statm`; see proc(5).
fn resident_pages() -> Option<usize> {
    fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()
}

/// For how long the process has lived: the 22nd field of `/proc/self/stat` is when it began, in ticks since boot.
fn age_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name, in parentheses, and may hold anything.
    let began_ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a hundred or so")]
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    Some(seconds(ClockId::Boottime) - began_ticks / ticks_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_tells_what_it_uses() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.into_text();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
            line.trim().parse::<f64>().unwrap()
        };
        assert!(value("process_cpu_seconds_total ") > 0.0);
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_open_fds ") >= 3.0 && value("process_open_fds ") <= value("process_max_fds "));
        let age = seconds(ClockId::Realtime) - value("process_start_time_seconds ");
        assert!((-1.0..3_600.0).contains(&age), "{age}");
    }
}
