//! The disks of this machine, as mountinfo and statvfs tell them.
//!
//! Only file systems that lie on a disk of this machine: one of the network that does not answer would keep whoever asks. Reads only.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;

/// Most bytes read of the table of mounts.
const MAX_TABLE: u64 = 4 * 1024 * 1024;
/// Most disks told of.
const MAX_DISKS: usize = 32;
/// File systems on disks.
const KINDS: [&str; 10] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "reiserfs", "jfs"];

/// Below these memory is mounted that nobody keeps anything in.
const SYSTEM: [&str; 7] = ["/dev", "/sys", "/proc", "/run/user", "/run/credentials", "/run/lock", "/var/lib/docker"];

/// How full a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted; the shortest path when there are several.
    pub mount: String,
    /// Bytes that are free for those who are not root.
    pub free: u64,
    /// Bytes in use.
    pub used: u64,
    /// Inodes that are free; those without a fixed number of them have 0 of both.
    pub inodes_free: u64,
    /// Inodes in use.
    pub inodes_used: u64,
}

/// Every disk, by where it is mounted.
///
/// # Errors
/// The table of mounts cannot be read.
pub fn disks() -> io::Result<Vec<Disk>> {
    let mut table = String::new();
    std::fs::File::open("/proc/self/mountinfo")?.take(MAX_TABLE).read_to_string(&mut table)?;
    let mut disks = Vec::new();
    // A file that is mounted over another, as /etc/hosts in a container, is no place for data.
    for mount in mounts(&table, |path| Path::new(path).is_dir()).into_iter().take(MAX_DISKS) {
        // One that has been unmounted meanwhile, or is hidden below another, is passed over.
        let Ok(disk) = rustix::fs::statvfs(Path::new(&mount)) else { continue };
        disks.push(Disk {
            mount,
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            used: disk.f_blocks.saturating_sub(disk.f_bfree).saturating_mul(disk.f_frsize),
            inodes_free: disk.f_favail,
            inodes_used: disk.f_files.saturating_sub(disk.f_ffree),
        });
    }
    Ok(disks)
}

/// Mount points of file systems that can be written to, one for each device (proc_pid_mountinfo(5)).
fn mounts(table: &str, is_dir: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found: Vec<(String, String)> = table.lines().filter_map(mount).filter(|(_, path)| is_dir(path)).collect();
    found.sort_by(|a, b| (a.1.len(), &a.1).cmp(&(b.1.len(), &b.1)));
    let mut known = BTreeSet::new();
    let mut paths: Vec<String> = found.into_iter().filter(|(device, _)| known.insert(device.clone())).map(|(_, path)| path).collect();
    paths.sort();
    paths
}

/// `36 35 98:0 /root /mount options… - ext4 /dev/sda1 rw,…` → device and mount point.
fn mount(line: &str) -> Option<(String, String)> {
    let (before, after) = line.split_once(" - ")?;
    let fields: Vec<&str> = before.split(' ').collect();
    let (device, path, options) = (fields.get(2)?, unescaped(fields.get(4)?), fields.get(5)?);
    let kind = after.split(' ').next()?;
    let writable = options.split(',').next() == Some("rw");
    // The root of a container lies on layers of disks.
    let wanted = match kind {
        "overlay" => path == "/",
        // Full is full, also in memory; those of the system itself and of logins are its affair.
        "tmpfs" => !SYSTEM.iter().any(|dir| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))),
        _ => KINDS.contains(&kind),
    };
    (wanted && writable).then(|| ((*device).to_owned(), path))
}

/// Blanks are written as `\040`.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disk_is_told_once_by_its_shortest_path() {
        let table = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
            23 22 8:1 /etc/x /var/lib/docker/x rw - ext4 /dev/sda1 rw\n\
            24 22 0:5 / /dev rw - devtmpfs udev rw\n\
            25 22 8:17 / /srv/my\\040data rw shared:1 - xfs /dev/sdb1 rw\n\
            26 22 7:0 / /snap/core ro - ext4 /dev/loop0 ro\n\
            27 22 0:60 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw\n\
            broken\n";
        assert_eq!(mounts(table, |_| true), ["/", "/srv/my data"]);
        assert_eq!(mounts("27 22 0:60 / / rw - overlay overlay rw", |_| true), ["/"]);
    }

    #[test]
    fn a_file_is_no_disk_and_memory_that_holds_data_is() {
        let table = "30 22 254:1 /c/hosts /etc/hosts rw - ext4 /dev/vda rw\n\
            31 22 254:1 /vol/data /srv/shop/data rw - ext4 /dev/vda rw\n\
            32 22 0:70 / /var/lib/landfall rw - tmpfs tmpfs rw,size=24m\n\
            33 22 0:71 / /dev/shm rw - tmpfs shm rw\n\
            34 22 0:72 / /run/user/1000 rw - tmpfs tmpfs rw\n\
            35 22 0:73 / /run rw - tmpfs tmpfs rw\n";
        assert_eq!(mounts(table, |path| path != "/etc/hosts"), ["/run", "/srv/shop/data", "/var/lib/landfall"]);
    }

    #[test]
    fn this_machine_has_a_disk() {
        let disks = disks().unwrap();
        assert!(disks.iter().any(|disk| disk.used > 0), "{disks:?}");
    }
}
