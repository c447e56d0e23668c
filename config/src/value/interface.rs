//! Network interfaces, as they are written after `%`.

use std::fmt;
use std::str::FromStr;

use nix::net::if_::if_nametoindex;

use super::{ValueError, quoted};

/// Names a network interface by its name or its number. This machine need not have it now: it may appear later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface(String);

impl Interface {
    /// The longest name that fits `IFNAMSIZ` of netdevice(7), without the terminating zero byte.
    const MAX_BYTES: usize = 15;

    /// Returns the name or the number, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number that the interface has now, `None` if this machine has no interface of that name. An interface
    /// that is removed and created again gets another number. A number as written is not looked up.
    pub fn number(&self) -> Option<u32> {
        self.number_by(|name| if_nametoindex(name).ok())
    }

    /// Returns the interface by its number instead of its name, if this machine has it now.
    pub(super) fn numbered(&self) -> Option<Self> {
        self.number().map(|number| Self(number.to_string()))
    }

    /// Returns the number, where `by_name` returns that of an interface with a name. A name that exists comes before a
    /// number: an interface may be called `2`.
    pub fn number_by(&self, by_name: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
        let is_number = self.0.bytes().all(|byte| byte.is_ascii_digit());
        by_name(&self.0).or_else(|| self.0.parse().ok().filter(|_| is_number))
    }
}

impl FromStr for Interface {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
        let is_name = (1..=Self::MAX_BYTES).contains(&text.len())
            && !matches!(text, "." | "..")
            && !text.contains(forbidden);
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        let hint = format!("a name has at most {} bytes; `ip link` lists the interfaces", Self::MAX_BYTES);
        Err(ValueError::new(format!("{} is not a name of an interface", quoted(text)), hint))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_exists_comes_before_a_number() {
        let number = |text: &str, names: &[(&str, u32)]| {
            let of = |name: &str| names.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
            text.parse::<Interface>().unwrap().number_by(of)
        };
        let names = [("eth0", 3), ("2", 7)];
        assert_eq!(number("eth0", &names), Some(3));
        assert_eq!(number("2", &names), Some(7));
        assert_eq!(number("3", &names), Some(3));
        for missing in ["wlan0", "+3", "4294967296"] {
            assert_eq!(number(missing, &names), None, "{missing}");
        }
        assert_eq!("lo".parse::<Interface>().unwrap().number(), Some(1));
        assert_eq!("nosuch0".parse::<Interface>().unwrap().number(), None);
    }

    #[test]
    fn only_names_that_the_kernel_accepts_are_read() {
        for text in ["", "a b", "abcdefghijklmnop", "eth0%1", "../x", ".", "a:b"] {
            let error = text.parse::<Interface>().unwrap_err();
            assert!(error.to_string().ends_with("is not a name of an interface"), "{text}: {error}");
        }
        assert_eq!("enp0s31f6.100".parse::<Interface>().unwrap().to_string(), "enp0s31f6.100");
    }
}
