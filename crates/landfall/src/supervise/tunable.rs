//! What the C library is told before the proxy starts; later it does not listen.
//!
//! From 8 KiB on glibc copies memory with one instruction, `rep movsb`. On AMD's processors since Zen 3 that can be several times slower than its own
//! loops (glibc bug 30994, mended in 2.39), and a proxy copies whole TLS records of 16 KiB: measured, it was a third of the processor time of a large
//! answer over TLS. So there it is told what newer ones decide by themselves. Other C libraries do not look at this.

use std::ffi::OsString;

/// Its name in the environment.
pub(super) const NAME: &str = "GLIBC_TUNABLES";
const COPY: &str = "glibc.cpu.x86_rep_movsb_threshold";
/// More than anybody copies at once.
const NEVER: &str = "1099511627776";

/// What to set [`NAME`] to on this machine; what the owner of the server has set stays, and prevails.
pub(super) fn tunables() -> Option<OsString> {
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    decide(&processor, std::env::var_os(NAME))
}

fn decide(processor: &str, set: Option<OsString>) -> Option<OsString> {
    if !processor.lines().any(|line| line.starts_with("vendor_id") && line.ends_with("AuthenticAMD")) {
        return None;
    }
    let mut value = OsString::from(format!("{COPY}={NEVER}"));
    if let Some(set) = set.filter(|set| !set.is_empty()) {
        // The last one counts.
        value.push(":");
        value.push(set);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_the_instruction_is_slow_and_never_against_the_owner() {
        let amd = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n";
        let ours = "glibc.cpu.x86_rep_movsb_threshold=1099511627776";
        assert_eq!(decide(amd, None), Some(ours.into()));
        assert_eq!(decide(amd, Some("glibc.malloc.check=1".into())), Some(format!("{ours}:glibc.malloc.check=1").into()));
        assert_eq!(decide("vendor_id\t: GenuineIntel\n", None), None);
    }
}
