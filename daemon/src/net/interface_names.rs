//! The names of the interfaces by their numbers, those of the past included.
//!
//! Stored addresses have the numbers of their time. A table that the notifications of interface changes keep current makes a
//! look-up for each entry unnecessary. What cannot be listed or looked up stays as it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use nix::net::if_::if_indextoname;
use parking_lot::RwLock;
use udpchat_config::Interface as InterfaceName;

use super::interfaces::Interface;

/// How many numbers are remembered at most, unless there are more interfaces.
const MAX_NUMBERS: usize = 4_096;

/// The last name that was seen with each number.
#[derive(Debug, Default)]
pub(crate) struct InterfaceNames(RwLock<BTreeMap<u32, String>>);

impl InterfaceNames {
    /// Takes the interfaces that there are now. Removed ones are remembered.
    pub(super) fn update(&self, interfaces: &[Interface]) {
        let mut names = self.0.write();
        names.extend(now(interfaces));
        if names.len() > MAX_NUMBERS {
            *names = now(interfaces).collect();
        }
    }

    /// Returns whether an interface has or had a number; none if no interface is known that has or had it. No system call.
    pub(crate) fn is_number_of(&self, interface: &InterfaceName, number: u32) -> Option<bool> {
        let names = self.0.read();
        let last = |wanted: &str| names.iter().rev().find(|(_, name)| *name == wanted).map(|(last, _)| *last);
        if interface.number_by(last) == Some(number) {
            return Some(true);
        }
        names.get(&number).map(|name| name == interface.as_str())
    }

    /// Returns the last name of the interface that an address has the number of; none if it has none, or no name is known.
    pub(crate) fn of_scope(&self, address: SocketAddr) -> Option<String> {
        let SocketAddr::V6(v6) = address else { return None };
        self.0.read().get(&v6.scope_id()).cloned()
    }

    /// Learns the name of the interface that an address has the number of, if it is unknown: an interface may send its first message
    /// before its creation is noticed.
    pub(crate) fn learn_scope(&self, address: SocketAddr) {
        let SocketAddr::V6(v6) = address else { return };
        let number = v6.scope_id();
        if number == 0 || self.0.read().contains_key(&number) {
            return;
        }
        // Of a number that no interface has, nix returns an empty name.
        if let Some(name) = if_indextoname(number).ok().filter(|name| !name.is_empty()) {
            self.0.write().insert(number, name.to_string_lossy().into_owned());
        }
    }

    /// Returns the last number that an interface of this name had.
    pub(crate) fn last_number(&self, name: &str) -> Option<u32> {
        self.0.read().iter().rev().find(|(_, known)| *known == name).map(|(number, _)| *number)
    }

    /// Looks an interface up and remembers its number; returns whether this machine has or had it.
    pub(crate) fn look_up(&self, interface: &InterfaceName) -> bool {
        self.look_up_by(interface, InterfaceName::number)
    }

    fn look_up_by(
        &self,
        interface: &InterfaceName,
        number: impl FnOnce(&InterfaceName) -> Option<u32>,
    ) -> bool {
        let mut names = self.0.write();
        match number(interface) {
            Some(number) if interface.as_str().parse() == Ok(number) => true,
            Some(number) => {
                names.insert(number, interface.as_str().to_owned());
                true
            }
            None => names.values().any(|name| name == interface.as_str()),
        }
    }
}

fn now(interfaces: &[Interface]) -> impl Iterator<Item = (u32, String)> {
    interfaces.iter().map(|interface| (interface.index, interface.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str) -> Interface {
        Interface { index, name: name.to_owned(), ..Interface::default() }
    }

    fn named(name: &str) -> InterfaceName {
        name.parse().unwrap()
    }

    #[test]
    fn an_interface_keeps_the_numbers_that_it_had() {
        let names = InterfaceNames::default();
        names.update(&[interface(2, "eth0"), interface(3, "4")]);
        names.update(&[interface(7, "eth0")]);
        for (name, number, expected) in [
            ("eth0", 2, Some(true)),
            ("eth0", 7, Some(true)),
            ("eth0", 3, Some(false)),
            ("eth1", 2, Some(false)),
            ("eth0", 8, None),
            ("7", 7, Some(true)),
            ("9", 9, Some(true)),
            ("4", 3, Some(true)),
            ("4", 4, None),
        ] {
            assert_eq!(names.is_number_of(&named(name), number), expected, "{name} {number}");
        }
        // The newest interface with a number has it.
        names.update(&[interface(2, "eth1")]);
        let has = |name: &str, number| names.is_number_of(&named(name), number);
        assert_eq!((has("eth1", 2), has("eth0", 2)), (Some(true), Some(false)));
        let of_scope = |address: &str| names.of_scope(address.parse().unwrap());
        assert_eq!((of_scope("[fe80::1%7]:9").as_deref(), of_scope("[fe80::1%9]:9")), (Some("eth0"), None));
        assert_eq!((of_scope("[fe80::1]:9"), of_scope("10.0.0.7:9")), (None, None));
    }

    #[test]
    fn an_interface_is_learned_from_its_first_message() {
        let names = InterfaceNames::default();
        for address in ["[fe80::1%1]:9", "[fe80::1%999999]:9", "[fe80::1]:9", "10.0.0.7:9"] {
            names.learn_scope(address.parse().unwrap());
        }
        assert_eq!(names.of_scope("[fe80::1%1]:9".parse().unwrap()).as_deref(), Some("lo"));
        assert_eq!(names.0.read().len(), 1);
    }

    #[test]
    fn a_failed_look_up_changes_nothing() {
        let names = InterfaceNames::default();
        assert!(!names.look_up_by(&named("eth0"), |_| None));
        assert!(names.look_up_by(&named("eth0"), |_| Some(2)));
        assert!(
            names.look_up_by(&named("eth0"), |_| None) && names.is_number_of(&named("eth0"), 2) == Some(true)
        );
        // A number as written names no interface.
        assert!(
            names.look_up_by(&named("2"), |_| Some(2)) && names.is_number_of(&named("eth0"), 2) == Some(true)
        );
        assert!(names.look_up(&named("lo")) && names.is_number_of(&named("lo"), 1) == Some(true));
    }

    #[test]
    fn only_so_many_removed_interfaces_are_remembered() {
        let names = InterfaceNames::default();
        for number in 2..10_000 {
            names.update(&[interface(1, "lo"), interface(number, "veth0")]);
            assert!(names.0.read().len() <= MAX_NUMBERS);
        }
        assert!(
            names.is_number_of(&named("lo"), 1) == Some(true)
                && names.is_number_of(&named("veth0"), 9_999) == Some(true)
        );
    }
}
