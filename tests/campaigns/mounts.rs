//! File systems of a test's own, in a mount namespace of its thread.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::random::Random;
use crate::support::{available, is_root, missing, tool};

/// Gives the calling thread, and what it starts, a mount namespace of its own, whose mounts end with it. Returns false, and
/// prints why, where that is not possible.
#[track_caller]
pub(crate) fn new_namespace() -> bool {
    if !(is_root() && available("mkfs.ext4") && available("mount")) {
        return false;
    }
    if !Path::new("/dev/loop-control").exists() {
        return missing("loop devices");
    }
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, private, none).unwrap();
    true
}

/// A mounted file system. Dropping it unmounts it.
pub(crate) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Mounts a tmpfs of a size in a new folder.
    pub(crate) fn tmpfs(at: &Path, size: &str) -> Self {
        fs::create_dir(at).unwrap();
        let options = format!("size={size},mode=700");
        mount(Some("udpchat"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self { at: at.to_owned() }
    }

    /// Mounts an image through a loop device, which is released with it.
    pub(crate) fn image(image: &Path, at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let options = format!("loop,{options}");
        run(Command::new("mount").args(["-t", "ext4", "-o", &options]).arg(image).arg(at));
        Self { at: at.to_owned() }
    }

    /// Mounts it again with other options.
    pub(crate) fn remount(&self, options: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // After a failure a process may still use it: it then ends with the process.
        let _unmounted = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// Makes an ext4 file system in a new file.
pub(crate) fn make_ext4(image: &Path, bytes: u64) {
    fs::File::create(image).unwrap().set_len(bytes).unwrap();
    let mut make = Command::new(tool::path("mkfs.ext4").unwrap());
    run(make
        .args(["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,root_owner=0:0"])
        .arg(image));
}

/// Gives the processes of this mount namespace another boot identifier.
pub(crate) fn set_boot_id(folder: &Path, random: &mut Random) {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let file = folder.join("boot_id");
    let is_new = !file.exists();
    let (high, low) = (random.next(), random.next());
    let words = (high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff);
    let id = format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}\n", words.0, words.1, words.2, words.3, words.4);
    fs::write(&file, id).unwrap();
    if is_new {
        let none = None::<&str>;
        mount(Some(&file), PATH, none, MsFlags::MS_BIND, none).unwrap();
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
