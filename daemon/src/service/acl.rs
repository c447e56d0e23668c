//! Access control lists of files: what named users and groups may do.
//!
//! Where a file has such a list, the group bits of its mode are the mask of the list, not the permissions of the owning group
//! (acl(5), "Correspondence between ACL entries and file permission bits"). Linux keeps the list in an extended attribute, in the
//! format of `linux/posix_acl_xattr.h`, and has none for a file whose permissions the mode holds completely.

use std::path::Path;

use super::accounts::{is_private_group, own_uid};

/// What the group class of a file may do, in bits as in the last digit of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupClass {
    pub(crate) owning_group: u32,
    /// What the users and groups that the access control list names may do together, without root, this process's user and
    /// the private group of that user.
    pub(crate) named: u32,
}

impl GroupClass {
    /// Returns what the group class of a file with this mode may do. A list that cannot be read counts as none.
    pub(crate) fn of(path: &Path, mode: u32) -> Self {
        let bits = mode >> 3 & 0o7;
        let list = read(path).and_then(|list| Self::parse(&list, bits, own_uid(), is_private_group));
        list.unwrap_or(Self { owning_group: bits, named: 0 })
    }

    fn parse(list: &[u8], mask: u32, own_uid: u32, is_private: impl Fn(u32) -> bool) -> Option<Self> {
        const VERSION: [u8; 4] = 2_u32.to_le_bytes();
        const USER: u16 = 0x02;
        const OWNING_GROUP: u16 = 0x04;
        const GROUP: u16 = 0x08;
        let (entries, _rest) = list.strip_prefix(&VERSION)?.as_chunks::<8>();
        let mut class = Self { owning_group: 0, named: 0 };
        for [tag0, tag1, bits0, bits1, id @ ..] in entries {
            let bits = u32::from(u16::from_le_bytes([*bits0, *bits1])) & mask;
            match (u16::from_le_bytes([*tag0, *tag1]), u32::from_le_bytes(*id)) {
                (OWNING_GROUP, _) => class.owning_group = bits,
                (USER, id) if id == 0 || id == own_uid => {}
                (GROUP, id) if is_private(id) => {}
                (USER | GROUP, _) => class.named |= bits,
                _ => {}
            }
        }
        Some(class)
    }
}

#[cfg(target_os = "linux")]
fn read(path: &Path) -> Option<Vec<u8>> {
    const NAME: &str = "system.posix_acl_access";
    let mut list = vec![0; rustix::fs::getxattr_query(path, NAME).ok()?];
    let length = rustix::fs::getxattr(path, NAME, &mut list[..]).ok()?;
    list.truncate(length);
    Some(list)
}

#[cfg(not(target_os = "linux"))]
fn read(_path: &Path) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: u32 = u32::MAX;

    /// Returns a list of these entries, each a tag, bits and an id.
    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |(tag, bits, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        2_u32.to_le_bytes().into_iter().chain(entries.iter().flat_map(entry)).collect()
    }

    #[test]
    fn the_mask_limits_the_owning_group_and_those_that_are_named() {
        let owner_and_group = [(0x01, 7, NOBODY), (0x04, 5, NOBODY)];
        let with = |more: &[(u16, u16, u32)]| list(&[&owner_and_group, more, &[(0x10, 7, NOBODY)]].concat());
        let parsed = |list: &[u8], mask| {
            GroupClass::parse(list, mask, 500, |group| group == 600)
                .map(|class| (class.owning_group, class.named))
        };
        assert_eq!(parsed(&with(&[(0x02, 7, 501)]), 0o7), Some((5, 7)));
        assert_eq!(parsed(&with(&[(0x02, 2, 501), (0x08, 1, 0)]), 0o7), Some((5, 3)));
        assert_eq!(parsed(&with(&[(0x02, 7, 501)]), 0o1), Some((1, 1)));
        assert_eq!(parsed(&with(&[(0x02, 7, 0), (0x02, 7, 500)]), 0o7), Some((5, 0)), "they may anyway");
        assert_eq!(parsed(&with(&[(0x08, 7, 600)]), 0o7), Some((5, 0)), "nobody else is in it");
        assert_eq!(parsed(&with(&[])[..9], 0o7), Some((0, 0)), "a part of an entry");
        assert_eq!((parsed(b"", 0o7), parsed(&[3, 0, 0, 0], 0o7)), (None, None));
    }

    #[test]
    fn without_a_list_the_mode_says_everything() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(GroupClass::of(folder.path(), 0o751), GroupClass { owning_group: 5, named: 0 });
    }
}
