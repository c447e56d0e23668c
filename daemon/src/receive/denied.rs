//! Who was refused by the access list lately: a few addresses, so that somebody whose messages do not arrive can be told
//! why.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How many addresses are remembered: those refused last.
const MAX_REMEMBERED: usize = 8;

/// An address that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) ip: IpAddr,
    /// When its last datagram came, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
    /// How many datagrams of it were refused since it is remembered.
    pub(crate) datagrams: u64,
}

/// The addresses that were refused last, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<Vec<Refusal>>);

impl Refused {
    /// Notes a datagram that was refused.
    pub(crate) fn note(&self, ip: IpAddr, at_ns: i64) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match list.iter().position(|refusal| refusal.ip == ip) {
            Some(at) => at,
            None => {
                list.truncate(MAX_REMEMBERED - 1);
                list.push(Refusal { ip, at_ns, datagrams: 0 });
                list.len() - 1
            }
        };
        list[at].at_ns = at_ns;
        list[at].datagrams += 1;
        list[..=at].rotate_right(1);
    }

    /// Returns them.
    pub(crate) fn list(&self) -> Vec<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_are_remembered_newest_first() {
        let refused = Refused::default();
        let ip = |last: u8| IpAddr::from([10, 0, 0, last]);
        for last in 1..=9 {
            refused.note(ip(last), i64::from(last));
        }
        refused.note(ip(5), 77);
        let list = refused.list();
        let order: Vec<_> = list.iter().map(|refusal| refusal.ip).collect();
        assert_eq!(order, [5, 9, 8, 7, 6, 4, 3, 2].map(ip));
        assert_eq!(list[0], Refusal { ip: ip(5), at_ns: 77, datagrams: 2 });
    }
}
