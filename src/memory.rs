//! How much memory this process may still take: the least of what the machine has free, what the control groups it is in
//! leave it (containers, clusters), and what its own address space may grow by (`ulimit -v`).
//!
//! Linux tells all three in files. A crate, sysinfo, reads control groups too, but counts the file cache as used: after a
//! large file was read it would say that little is left. Elsewhere it is what tells how much is free.

/// Bytes that this process may still take, where the system tells.
pub fn available() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return linux::available(std::path::Path::new("/"));
    #[cfg(not(target_os = "linux"))]
    {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        Some(system.available_memory()).filter(|&bytes| bytes > 0)
    }
}

/// Bytes for people: "3.2 GiB".
pub fn text(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::read_to_string;
    use std::path::{Path, PathBuf};

    /// Reads the files below `root`.
    pub fn available(root: &Path) -> Option<u64> {
        let free = field(&root.join("proc/meminfo"), "MemAvailable:").map(|kib| kib << 10);
        free.into_iter().chain(groups(root)).chain(address_space(root)).min()
    }

    /// The number after a word at the start of a line.
    fn field(path: &Path, word: &str) -> Option<u64> {
        let text = read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix(word))?.split_whitespace().next()?.parse().ok()
    }

    /// What the limit on the address space leaves.
    fn address_space(root: &Path) -> Option<u64> {
        let limit = field(&root.join("proc/self/limits"), "Max address space")?;
        let taken = field(&root.join("proc/self/status"), "VmSize:")? << 10;
        Some(limit.saturating_sub(taken))
    }

    /// What each control group leaves that the process is in, and each of those around it.
    fn groups(root: &Path) -> Vec<u64> {
        let read = |name: &str| read_to_string(root.join(name)).unwrap_or_default();
        let (own, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
        let mut left = Vec::new();
        for line in own.lines() {
            // "0::/path" in version 2, "4:memory:/path" in version 1.
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
            let version = match controllers {
                "" => 2,
                _ if controllers.split(',').any(|name| name == "memory") => 1,
                _ => continue,
            };
            let Some((top, place)) = mounts.lines().find_map(|line| place(root, line, version, group)) else {
                continue;
            };
            left.extend(
                place.ancestors().take_while(|path| path.starts_with(&top)).filter_map(|path| room(path, version)),
            );
        }
        left
    }

    /// The directory where a line of mountinfo shows the hierarchy of this version, and that of `group` in it.
    fn place(root: &Path, line: &str, version: u8, group: &str) -> Option<(PathBuf, PathBuf)> {
        let (mount, device) = line.split_once(" - ")?;
        let (kind, options) = (device.split(' ').next()?, device.split(' ').nth(2)?);
        let fits = match version {
            2 => kind == "cgroup2",
            _ => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
        };
        let mut words = mount.split(' ').skip(3);
        let (shown, at) = (words.next()?, words.next()?);
        let top = root.join(at.strip_prefix('/')?);
        // In a container the mount may show nothing but the container's own group.
        let below = Path::new(group).strip_prefix(shown).unwrap_or(Path::new(""));
        fits.then(|| (top.clone(), top.join(below)))
    }

    /// What a group's limit leaves. Files in the cache are no loss: they give way.
    fn room(group: &Path, version: u8) -> Option<u64> {
        let number = |name: &str| read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        let (limits, usage, cache): (&[&str], _, _) = match version {
            2 => (&["memory.max", "memory.high"], "memory.current", "inactive_file "),
            _ => (&["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_inactive_file "),
        };
        let limit = limits.iter().filter_map(|name| number(name)).min()?;
        let cache = field(&group.join("memory.stat"), cache).unwrap_or(0);
        Some(limit.saturating_sub(number(usage)?.saturating_sub(cache)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// A root directory with these files.
        fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
            let root = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = root.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            root
        }

        const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:  2000 kB\nMemAvailable:   1000 kB\n");

        #[test]
        fn without_limits_it_is_what_the_machine_has_free() {
            assert_eq!(available(root(&[MEMINFO]).path()), Some(1000 << 10));
            assert_eq!(available(root(&[]).path()), None);
            let own = super::super::available().unwrap();
            assert!(own > 1 << 20, "{own} bytes are left for this test");
        }

        #[test]
        fn the_smallest_room_of_a_group_and_those_around_it_counts() {
            let files = [
                MEMINFO,
                ("proc/self/cgroup", "0::/job/step\n"),
                ("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"),
                ("sys/fs/cgroup/job/step/memory.max", "max\n"),
                ("sys/fs/cgroup/job/step/memory.current", "5000\n"),
                ("sys/fs/cgroup/job/memory.max", "400000\n"),
                ("sys/fs/cgroup/job/memory.current", "150000\n"),
                ("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 50000\nactive_file 7\n"),
            ];
            assert_eq!(available(root(&files).path()), Some(300_000));
            let throttled = [&files[..], &[("sys/fs/cgroup/job/step/memory.high", "6000\n")]].concat();
            assert_eq!(available(root(&throttled).path()), Some(1000));
        }

        #[test]
        fn version_one_and_a_container_that_sees_its_own_group_only() {
            let mount = "31 25 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
            let files = [
                MEMINFO,
                ("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n"),
                ("proc/self/mountinfo", mount),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "700000"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100000"),
                ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 10000\n"),
            ];
            assert_eq!(available(root(&files).path()), Some(610_000));
        }

        #[test]
        fn the_address_space_counts_where_it_is_limited() {
            let status = ("proc/self/status", "Name:\tx\nVmSize:\t  100 kB\n");
            let limits = |soft: &str| {
                format!("Limit  Soft Limit  Hard Limit  Units\nMax address space  {soft}  unlimited  bytes\n")
            };
            let of = |soft| available(root(&[MEMINFO, status, ("proc/self/limits", &limits(soft))]).path());
            assert_eq!(of("204800"), Some(100 << 10));
            assert_eq!(of("1024"), Some(0));
            assert_eq!(of("unlimited"), Some(1000 << 10));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_told_in_round_numbers() {
        assert_eq!([super::text(5 << 20), super::text(3435973837)], ["5 MiB", "3.2 GiB"]);
    }
}
