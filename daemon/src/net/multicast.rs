//! Multicast groups: which of them are joined on which interfaces, kept as the configuration and the interfaces of
//! the moment want it.
//!
//! One step compares what is wanted with what is joined, and makes the difference. It is taken at the start, at a
//! reload, and whenever the kernel tells that interfaces or addresses have changed ([`Links`]).

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::info;
use udpchat_api::call::GroupStatus;
use udpchat_config::{Group, Settings};

use super::interfaces::{Interface, Interfaces, OwnAddresses};
use super::netlink::{Changes, Links};
use super::socket::Listener;
use crate::health::{Component, Health};
use crate::inbox::queue::reason;
use crate::receive::{join, leave};

/// How long changes may gather after each step: while a machine starts, or a container, many come together.
const GATHER: Duration = Duration::from_millis(100);

/// The groups.
#[derive(Debug)]
pub(crate) struct Groups {
    listeners: Vec<Arc<Listener>>,
    own: Arc<OwnAddresses>,
    health: Arc<Health>,
    /// Held for the length of a step, which may wait for the kernel.
    state: Mutex<State>,
    /// What the last step came to. Held for a moment only.
    outcome: Mutex<Arc<[Outcome]>>,
}

#[derive(Debug, Default)]
struct State {
    configured: Vec<Group>,
    joined: BTreeSet<Membership>,
    /// What has changed since the last step that could be taken.
    changes: Changes,
    /// Why the kernel does not tell of changes, if so.
    unwatched: Option<String>,
}

/// A group joined through one socket on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Membership {
    /// Which of the listeners.
    listener: usize,
    group: IpAddr,
    /// The number of the interface.
    interface: u32,
}

/// Where a group is joined.
#[derive(Clone, Debug)]
struct Outcome {
    group: Group,
    /// Name and number of each interface.
    on: Vec<(String, u32)>,
}

impl Groups {
    /// Makes the groups of a configuration; none is joined yet.
    pub(crate) fn new(
        settings: &Settings,
        listeners: &[Arc<Listener>],
        own: Arc<OwnAddresses>,
        health: Arc<Health>,
    ) -> Self {
        let state = State { configured: settings.groups.to_vec(), ..State::default() };
        Self {
            listeners: listeners.to_vec(),
            own,
            health,
            state: Mutex::new(state),
            outcome: Mutex::new(Arc::new([])),
        }
    }

    /// Takes over a new configuration: leaves and joins. May wait for the kernel.
    pub(crate) fn configure(&self, settings: &Settings) {
        let mut state = self.lock();
        for number in settings.groups.len()..state.configured.len() {
            self.health.clear(Component::Group(number));
        }
        state.configured = settings.groups.to_vec();
        self.step(&mut state);
    }

    /// Follows what the kernel tells, as long as the daemon runs.
    pub(crate) fn keep(&self, mut links: Links) {
        loop {
            match links.wait() {
                Ok(changes) => self.follow(changes),
                Err(error) => return self.cannot_watch(&error),
            }
            thread::sleep(GATHER);
        }
    }

    /// Notes that the kernel does not tell of changes.
    pub(crate) fn cannot_watch(&self, error: &io::Error) {
        let problem = format!(
            "changes of network interfaces cannot be watched ({}): groups are joined at start and at a reload only",
            reason(error)
        );
        let mut state = self.lock();
        state.unwatched = Some(problem);
        self.report_links(&state, None);
    }

    /// Reports what is wrong with interfaces in general, which matters only where there are groups.
    fn report_links(&self, state: &State, unlisted: Option<String>) {
        match unlisted.or_else(|| state.unwatched.clone()).filter(|_| !state.configured.is_empty()) {
            Some(problem) => self.health.report(Component::Interfaces, problem),
            None => self.health.clear(Component::Interfaces),
        }
    }

    /// Brings what is joined in line with what is wanted, after changes. May wait for the kernel.
    pub(crate) fn follow(&self, changes: Changes) {
        let mut state = self.lock();
        state.changes.add(changes);
        self.step(&mut state);
    }

    /// Tells each configured group and the interfaces on which it is joined.
    pub(crate) fn status(&self) -> Vec<GroupStatus> {
        let row = |outcome: &Outcome| GroupStatus {
            group: outcome.group.to_string(),
            interfaces: outcome.on.iter().map(|(name, _)| name.clone()).collect(),
        };
        self.outcome().iter().map(row).collect()
    }

    /// Returns the number of the interface that the configuration names for a group, where it is joined there.
    pub(crate) fn interface_of(&self, group: IpAddr) -> Option<u32> {
        let is_meant =
            |outcome: &&Outcome| outcome.group.ip() == group && outcome.group.interface().is_some();
        self.outcome().iter().find(is_meant).and_then(|outcome| Some(outcome.on.first()?.1))
    }

    fn step(&self, state: &mut State) {
        let interfaces = match Interfaces::now() {
            Ok(interfaces) => interfaces,
            Err(error) => {
                let problem = format!(
                    "network interfaces cannot be listed ({}): groups stay as they are",
                    reason(&error)
                );
                return self.report_links(state, Some(problem));
            }
        };
        self.report_links(state, None);
        self.own.set(interfaces.own.clone());
        let changes = std::mem::take(&mut state.changes);
        self.forget(state, &changes);
        let plans: Vec<_> = state.configured.iter().map(|group| plan(group, &interfaces.list)).collect();
        let wanted = plans.iter().flat_map(|plan| self.memberships(plan)).collect();
        self.leave_all_but(state, &wanted);
        let mut outcomes = Vec::with_capacity(plans.len());
        for (number, plan) in plans.into_iter().enumerate() {
            let (on, problem) = self.join_all(&mut state.joined, &plan);
            let group = state.configured[number].clone();
            match problem.or(plan.problem) {
                Some(problem) => {
                    let text = format!("group {group} is not joined {problem}");
                    self.health.report(Component::Group(number), text);
                }
                None => self.health.clear(Component::Group(number)),
            }
            outcomes.push(Outcome { group, on });
        }
        // After the problems: who sees a group joined sees none of its old ones.
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcomes.into();
    }

    /// Leaves what the kernel has forgotten with its interface, so that it can be joined again.
    fn forget(&self, state: &mut State, changes: &Changes) {
        let is_gone =
            |membership: &Membership| changes.is_unclear || changes.removed.contains(&membership.interface);
        state.joined.retain(|membership| !is_gone(membership) || !self.leave(membership));
    }

    fn leave_all_but(&self, state: &mut State, wanted: &BTreeSet<Membership>) {
        state.joined.retain(|membership| wanted.contains(membership) || !self.leave(membership));
    }

    /// Leaves; it counts as left in any case.
    fn leave(&self, membership: &Membership) -> bool {
        let Membership { listener, group, interface } = *membership;
        if let Err(error) = leave(&self.listeners[listener], group, interface) {
            info!("leaving group {group} on interface {interface}: {}", reason(&error));
        }
        true
    }

    /// Lists the memberships that a plan comes to: on each of its interfaces, through each socket that takes the group.
    fn memberships(&self, plan: &Plan) -> Vec<Membership> {
        let group = plan.group;
        let takes = |number: &usize| self.listeners[*number].takes_group(group);
        let takers: Vec<_> = (0..self.listeners.len()).filter(takes).collect();
        let on =
            |interface: u32| takers.iter().map(move |&listener| Membership { listener, group, interface });
        plan.on.iter().flat_map(|interface| on(interface.index)).collect()
    }

    /// Joins what of a plan is not joined yet; returns where it is joined, and what stands in the way of the rest.
    fn join_all(
        &self,
        joined: &mut BTreeSet<Membership>,
        plan: &Plan,
    ) -> (Vec<(String, u32)>, Option<String>) {
        let (mut on, mut problem) = (Vec::new(), None);
        if !self.listeners.iter().any(|listener| listener.takes_group(plan.group)) {
            let (family, any) =
                if plan.group.is_ipv4() { ("IPv4", "[::] or 0.0.0.0") } else { ("IPv6", "[::]") };
            return (
                on,
                Some(format!("at all: no address in `listen` takes groups of {family}, as {any} does")),
            );
        }
        let memberships = self.memberships(plan);
        for interface in &plan.on {
            let mut on_this = memberships.iter().filter(|membership| membership.interface == interface.index);
            match on_this.try_for_each(|membership| self.join(joined, membership)) {
                Ok(()) => on.push((interface.name.clone(), interface.index)),
                Err(error) => problem = Some(not_joined(interface, &error)),
            }
        }
        (on, problem)
    }

    fn join(&self, joined: &mut BTreeSet<Membership>, membership: &Membership) -> io::Result<()> {
        if joined.contains(membership) {
            return Ok(());
        }
        let Membership { listener, group, interface } = *membership;
        let listener = &self.listeners[listener];
        let done = match join(listener, group, interface) {
            // A membership that the socket still has from an interface that is gone: the new one was not joined.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                leave(listener, group, interface)?;
                join(listener, group, interface)
            }
            done => done,
        };
        done.map(|()| {
            joined.insert(*membership);
        })
    }

    fn outcome(&self) -> Arc<[Outcome]> {
        Arc::clone(&self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why joining on an interface failed, as the rest of a sentence.
fn not_joined(interface: &Interface, error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        // The kernel's answer to too many memberships of one socket.
        Some(nix::libc::ENOBUFS) => {
            "; `sysctl net.ipv4.igmp_max_memberships` limits how many a socket may have, and a reload tries again"
        }
        _ => "",
    };
    format!("on {}: {}{hint}", interface.name, reason(error))
}

/// Where a group is to be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    group: IpAddr,
    on: Vec<Interface>,
    /// Why it is joined nowhere, as the rest of a sentence.
    problem: Option<String>,
}

/// Chooses the interfaces for a group: the one that it names, or all that are able to.
fn plan(group: &Group, interfaces: &[Interface]) -> Plan {
    let obstacle = |interface: &Interface| obstacle(interface, group.ip());
    let (on, problem) = match group.interface() {
        None => {
            let able = |interface: &&Interface| obstacle(interface).is_none();
            let on: Vec<_> = interfaces.iter().filter(able).cloned().collect();
            let family = family(group.ip());
            let none = format!("at all: no interface is up, does multicast and has an address of {family}");
            let problem = on.is_empty().then_some(none);
            (on, problem)
        }
        Some(name) => match find(name, interfaces) {
            None => (Vec::new(), Some(format!("on {name}: there is no such interface now"))),
            Some(interface) => match obstacle(interface) {
                None => (vec![interface.clone()], None),
                Some(obstacle) => (Vec::new(), Some(format!("on {name}: {obstacle}"))),
            },
        },
    };
    Plan { group: group.ip(), on, problem }
}

/// Finds an interface by its name, or else by its number.
pub(crate) fn find<'a>(name: &str, interfaces: &'a [Interface]) -> Option<&'a Interface> {
    let by_name = interfaces.iter().find(|interface| interface.name == name);
    by_name.or_else(|| {
        let index: u32 = name.parse().ok()?;
        interfaces.iter().find(|interface| interface.index == index)
    })
}

/// Says what keeps an interface from taking part in a group. One without an address of the family would be joined by the
/// kernel, but it could not answer, and the ports of a bridge, which are many, would be joined too.
fn obstacle(interface: &Interface, group: IpAddr) -> Option<String> {
    let has_address = if group.is_ipv4() { interface.has_ipv4 } else { interface.has_ipv6 };
    if !interface.is_up {
        Some("it is down".to_owned())
    } else if !interface.does_multicast {
        Some("it does no multicast".to_owned())
    } else if !has_address {
        Some(format!("it has no address of {}", family(group)))
    } else {
        None
    }
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able(name: &str, index: u32) -> Interface {
        Interface {
            name: name.to_owned(),
            index,
            is_up: true,
            does_multicast: true,
            has_ipv4: true,
            has_ipv6: true,
        }
    }

    /// Returns where a group would be joined, and why nowhere.
    fn planned(group: &str, interfaces: &[Interface]) -> (Vec<u32>, Option<String>) {
        let plan = plan(&group.parse().unwrap(), interfaces);
        (plan.on.iter().map(|interface| interface.index).collect(), plan.problem)
    }

    #[test]
    fn a_group_is_for_every_interface_that_is_able_to() {
        let interfaces = [
            Interface { does_multicast: false, ..able("lo", 1) },
            able("eth0", 2),
            Interface { has_ipv6: false, ..able("eth1", 3) },
            Interface { is_up: false, ..able("eth2", 4) },
            Interface { has_ipv4: false, ..able("veth", 5) },
        ];
        assert_eq!(planned("239.1.2.3", &interfaces), (vec![2, 3], None));
        assert_eq!(planned("ff02::1", &interfaces), (vec![2, 5], None));
        let (on, problem) = planned("239.1.2.3", &interfaces[..1]);
        assert!(on.is_empty());
        assert!(problem.unwrap().contains("no interface is up, does multicast and has an address of IPv4"));
    }

    #[test]
    fn a_named_interface_is_the_only_one_and_what_is_wrong_with_it_is_said() {
        let interfaces = [able("eth0", 2), able("3", 7), able("eth1", 3)];
        assert_eq!(planned("239.1.2.3%eth1", &interfaces), (vec![3], None));
        assert_eq!(planned("ff02::1%2", &interfaces), (vec![2], None), "by its number");
        assert_eq!(planned("ff02::1%3", &interfaces), (vec![7], None), "a name counts before a number");
        for (broken, what) in [
            (Interface { is_up: false, ..able("eth9", 9) }, "on eth9: it is down"),
            (Interface { does_multicast: false, ..able("eth9", 9) }, "on eth9: it does no multicast"),
            (Interface { has_ipv4: false, ..able("eth9", 9) }, "on eth9: it has no address of IPv4"),
            (able("eth0", 2), "on eth9: there is no such interface now"),
        ] {
            assert_eq!(planned("239.1.2.3%eth9", &[broken]), (vec![], Some(what.to_owned())));
        }
    }
}
