//! Multicast groups: keeps the configured groups joined while interfaces come and go.
//!
//! [`Groups::update`] compares the wanted memberships with those that exist, and joins and leaves the difference. It runs at
//! the start, at a reload, and whenever the kernel reports that interfaces or addresses have changed
//! ([`InterfaceMonitor`]).

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::info;
use udpchat_config::{Group, Settings};

use super::interface_names::InterfaceNames;
use super::interfaces::{Changes, CurrentAddresses, Interface, Interfaces, find};
use super::platform::{InterfaceMonitor, join, leave};
use super::socket::Listener;
use crate::error::reason;
use crate::faults::Retry;
use crate::health::{Component, Health};
use crate::service::threads;

/// How long changes are collected after each update: many come together while a machine or a container starts.
const COALESCE: Duration = Duration::from_millis(100);

/// The configured groups and their memberships.
#[derive(Debug)]
pub(crate) struct Groups {
    listeners: Vec<Arc<Listener>>,
    addresses: Arc<CurrentAddresses>,
    names: Arc<InterfaceNames>,
    health: Arc<Health>,
    /// Locked during an update, which may wait for the kernel.
    state: Mutex<State>,
    /// Where each group is joined since the last update. Locked for a moment only.
    joined: Mutex<Arc<[JoinedGroup]>>,
}

#[derive(Debug, Default)]
struct State {
    configured: Vec<Group>,
    joined: BTreeSet<Membership>,
    /// What has changed since the last update that succeeded.
    changes: Changes,
    /// Why changes are not reported, if they are not.
    unmonitored: Option<String>,
}

/// A group joined through one socket on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Membership {
    /// The index of the listener.
    listener: usize,
    group: IpAddr,
    /// The number of the interface.
    interface: u32,
}

/// A configured group and the interfaces on which it is joined.
#[derive(Clone, Debug)]
pub(crate) struct JoinedGroup {
    pub(crate) group: Group,
    /// Name and number of each interface.
    pub(crate) interfaces: Vec<(String, u32)>,
}

impl Groups {
    /// Creates the groups of a configuration; none is joined yet.
    pub(crate) fn new(
        settings: &Settings,
        listeners: &[Arc<Listener>],
        addresses: Arc<CurrentAddresses>,
        names: Arc<InterfaceNames>,
        health: Arc<Health>,
    ) -> Self {
        let state = State { configured: settings.groups.to_vec(), ..State::default() };
        Self {
            listeners: listeners.to_vec(),
            addresses,
            names,
            health,
            state: Mutex::new(state),
            joined: Mutex::new(Arc::new([])),
        }
    }

    /// Applies a new configuration: leaves and joins. May wait for the kernel.
    pub(crate) fn configure(&self, settings: &Settings) {
        let mut state = self.state.lock();
        for number in settings.groups.len()..state.configured.len() {
            self.health.clear(Component::Group(number));
        }
        state.configured = settings.groups.to_vec();
        self.apply(&mut state);
    }

    /// Joins the groups, and keeps them joined while interfaces come and go.
    pub(crate) fn keep_joined(self: &Arc<Self>) -> io::Result<()> {
        // Started before the first update, so that no change is missed.
        let monitor = InterfaceMonitor::start();
        self.update(Changes::default());
        match monitor {
            Ok(monitor) => {
                let groups = Arc::clone(self);
                // The thread waits for the kernel until the process ends.
                threads::spawn("interfaces", move || groups.follow(monitor)).map(drop)
            }
            Err(error) => {
                self.cannot_monitor(&error);
                Ok(())
            }
        }
    }

    /// Updates the memberships at each change, as long as the daemon runs.
    fn follow(&self, mut monitor: InterfaceMonitor) {
        let mut retry = Retry::default();
        loop {
            match monitor.wait(retry.is_failing()) {
                Ok(mut changes) => {
                    if retry.succeeded() {
                        self.state.lock().unmonitored = None;
                        // What has changed meanwhile is not known.
                        changes.is_unclear = true;
                    }
                    self.update(changes);
                }
                Err(error) => {
                    let Some(pause) = retry.failed(&error) else { continue };
                    self.cannot_monitor(&error);
                    thread::sleep(pause);
                }
            }
            thread::sleep(COALESCE);
        }
    }

    /// Reports that changes of interfaces are not known.
    fn cannot_monitor(&self, error: &io::Error) {
        let problem = format!(
            "changes of network interfaces cannot be monitored ({}): groups are joined only at the start and at a reload",
            reason(error)
        );
        let mut state = self.state.lock();
        state.unmonitored = Some(problem);
        self.report_interfaces(&state, None);
    }

    /// Reports a problem with all interfaces, which matters only where groups are configured.
    fn report_interfaces(&self, state: &State, unlisted: Option<String>) {
        match unlisted.or_else(|| state.unmonitored.clone()).filter(|_| !state.configured.is_empty()) {
            Some(problem) => self.health.report(Component::Interfaces, problem),
            None => self.health.clear(Component::Interfaces),
        }
    }

    /// Joins and leaves what the changes require. May wait for the kernel.
    fn update(&self, changes: Changes) {
        let mut state = self.state.lock();
        state.changes.add(changes);
        self.apply(&mut state);
    }

    /// Returns each configured group with the interfaces on which it is joined.
    pub(crate) fn joined(&self) -> Arc<[JoinedGroup]> {
        Arc::clone(&self.joined.lock())
    }

    /// Returns the number of the interface that the configuration names for a group, if the group is joined there.
    pub(crate) fn interface_of(&self, group: IpAddr) -> Option<u32> {
        let is_named = |row: &&JoinedGroup| row.group.ip() == group && row.group.interface().is_some();
        self.joined().iter().find(is_named).and_then(|row| Some(row.interfaces.first()?.1))
    }

    fn apply(&self, state: &mut State) {
        let interfaces = match Interfaces::list() {
            Ok(interfaces) => interfaces,
            Err(error) => {
                let problem = format!(
                    "network interfaces cannot be listed ({}): memberships stay as they are",
                    reason(&error)
                );
                return self.report_interfaces(state, Some(problem));
            }
        };
        self.report_interfaces(state, None);
        self.addresses.set(interfaces.local.clone());
        self.names.update(&interfaces.list);
        let changes = std::mem::take(&mut state.changes);
        self.forget(state, &changes);
        let plans: Vec<_> = state.configured.iter().map(|group| plan(group, &interfaces.list)).collect();
        let wanted = plans.iter().flat_map(|plan| self.memberships(plan)).collect();
        self.leave_all_but(state, &wanted);
        let mut rows = Vec::with_capacity(plans.len());
        for (number, plan) in plans.into_iter().enumerate() {
            let group = state.configured[number].clone();
            let (interfaces, problem) = self.join_all(&mut state.joined, &group, &plan);
            match problem.or(plan.problem) {
                Some(problem) => self.health.report(Component::Group(number), problem),
                None => self.health.clear(Component::Group(number)),
            }
            rows.push(JoinedGroup { group, interfaces });
        }
        // After the problems: a client that sees a group joined must not see its old problem.
        *self.joined.lock() = rows.into();
    }

    /// Leaves memberships that the kernel dropped with their interface, so that they can be joined again.
    fn forget(&self, state: &mut State, changes: &Changes) {
        let is_gone =
            |membership: &Membership| changes.is_unclear || changes.removed.contains(&membership.interface);
        state.joined.retain(|membership| !is_gone(membership) || !self.leave(membership));
    }

    fn leave_all_but(&self, state: &mut State, wanted: &BTreeSet<Membership>) {
        state.joined.retain(|membership| wanted.contains(membership) || !self.leave(membership));
    }

    /// Leaves a group; it counts as left even if that fails.
    fn leave(&self, membership: &Membership) -> bool {
        let Membership { listener, group, interface } = *membership;
        if let Err(error) = leave(&self.listeners[listener].socket, group, interface) {
            info!("cannot leave group {group} on interface {interface}: {}", reason(&error));
        }
        true
    }

    /// Returns the memberships of a plan: on each of its interfaces, through each socket that can join the group.
    fn memberships(&self, plan: &Plan) -> Vec<Membership> {
        let group = plan.group;
        let takes = |number: &usize| self.listeners[*number].can_join(group);
        let takers: Vec<_> = (0..self.listeners.len()).filter(takes).collect();
        let on =
            |interface: u32| takers.iter().map(move |&listener| Membership { listener, group, interface });
        plan.on.iter().flat_map(|interface| on(interface.index)).collect()
    }

    /// Joins the memberships of a plan that do not exist yet; returns where the group is joined, and a problem if any.
    fn join_all(
        &self,
        joined: &mut BTreeSet<Membership>,
        group: &Group,
        plan: &Plan,
    ) -> (Vec<(String, u32)>, Option<String>) {
        let (mut on, mut problem) = (Vec::new(), None);
        if !self.listeners.iter().any(|listener| listener.can_join(plan.group)) {
            let problem = match plan.group {
                IpAddr::V4(_) => format!(
                    "group {group} is not joined anywhere: no address in `listen` receives IPv4 groups, as [::] or 0.0.0.0 \
                     does"
                ),
                IpAddr::V6(_) => format!(
                    "group {group} is not joined anywhere: no address in `listen` receives IPv6 groups, as [::] does"
                ),
            };
            return (on, Some(problem));
        }
        let memberships = self.memberships(plan);
        for interface in &plan.on {
            let mut on_this = memberships.iter().filter(|membership| membership.interface == interface.index);
            match on_this.try_for_each(|membership| self.join(joined, membership)) {
                Ok(()) => on.push((interface.name.clone(), interface.index)),
                Err(error) => problem = Some(not_joined(group, interface, &error)),
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
        let done = match join(&listener.socket, group, interface) {
            // The socket still has a membership of a removed interface with the same number.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                leave(&listener.socket, group, interface)?;
                join(&listener.socket, group, interface)
            }
            done => done,
        };
        done.map(|()| {
            joined.insert(*membership);
        })
    }
}

/// Describes why joining on an interface failed.
fn not_joined(group: &Group, interface: &Interface, error: &io::Error) -> String {
    let (name, reason) = (&interface.name, reason(error));
    match error.raw_os_error() {
        // The kernel's answer to too many memberships of one socket.
        Some(nix::libc::ENOBUFS) => format!(
            "group {group} is not joined on {name}: {reason}; `sysctl net.ipv4.igmp_max_memberships` limits the memberships \
             of a socket; after raising it, reload"
        ),
        _ => format!("group {group} is not joined on {name}: {reason}"),
    }
}

/// Where a group should be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    group: IpAddr,
    on: Vec<Interface>,
    /// Why no interface can join it.
    problem: Option<String>,
}

/// Chooses the interfaces for a group: the one that it names, or all that can join it.
fn plan(group: &Group, interfaces: &[Interface]) -> Plan {
    let obstacle = |interface: &Interface| obstacle(interface, group);
    let (on, problem) = match group.interface() {
        None => {
            let able = |interface: &&Interface| obstacle(interface).is_none();
            let on: Vec<_> = interfaces.iter().filter(able).cloned().collect();
            let family = family(group.ip());
            let none = format!(
                "group {group} is not joined anywhere: no interface is up, supports multicast and has an {family} address"
            );
            let problem = on.is_empty().then_some(none);
            (on, problem)
        }
        Some(name) => match find(name, interfaces) {
            None => {
                let problem = format!("group {group} is not joined on {name}: there is no such interface");
                (Vec::new(), Some(problem))
            }
            Some(interface) => match obstacle(interface) {
                None => (vec![interface.clone()], None),
                Some(obstacle) => (Vec::new(), Some(obstacle)),
            },
        },
    };
    Plan { group: group.ip(), on, problem }
}

/// Describes why an interface cannot join a group. The kernel would also join on an interface without an address of the
/// family, but such an interface could not answer, and the ports of bridges would use up the 20 memberships of a socket.
fn obstacle(interface: &Interface, group: &Group) -> Option<String> {
    let (name, family) = (&interface.name, family(group.ip()));
    let has_address = if group.ip().is_ipv4() { interface.has_ipv4 } else { interface.has_ipv6 };
    if !interface.is_up {
        Some(format!("group {group} is not joined on {name}: it is down"))
    } else if !interface.supports_multicast {
        Some(format!("group {group} is not joined on {name}: it does not support multicast"))
    } else if !has_address {
        Some(format!("group {group} is not joined on {name}: it has no {family} address"))
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
            supports_multicast: true,
            has_ipv4: true,
            has_ipv6: true,
        }
    }

    /// Returns the interfaces that a plan chooses, and its problem.
    fn planned(group: &str, interfaces: &[Interface]) -> (Vec<u32>, Option<String>) {
        let plan = plan(&group.parse().unwrap(), interfaces);
        (plan.on.iter().map(|interface| interface.index).collect(), plan.problem)
    }

    #[test]
    fn a_group_uses_every_interface_that_can_join() {
        let interfaces = [
            Interface { supports_multicast: false, ..able("lo", 1) },
            able("eth0", 2),
            Interface { has_ipv6: false, ..able("eth1", 3) },
            Interface { is_up: false, ..able("eth2", 4) },
            Interface { has_ipv4: false, ..able("veth", 5) },
        ];
        assert_eq!(planned("239.1.2.3", &interfaces), (vec![2, 3], None));
        assert_eq!(planned("ff02::1", &interfaces), (vec![2, 5], None));
        let (on, problem) = planned("239.1.2.3", &interfaces[..1]);
        assert!(on.is_empty());
        assert!(problem.unwrap().contains("no interface is up, supports multicast and has an IPv4 address"));
    }

    #[test]
    fn only_a_named_interface_joins_and_its_problem_is_reported() {
        let interfaces = [able("eth0", 2), able("3", 7), able("eth1", 3)];
        assert_eq!(planned("239.1.2.3%eth1", &interfaces), (vec![3], None));
        assert_eq!(planned("ff02::1%2", &interfaces), (vec![2], None), "by its number");
        assert_eq!(planned("ff02::1%3", &interfaces), (vec![7], None), "a name counts before a number");
        for (broken, what) in [
            (Interface { is_up: false, ..able("eth9", 9) }, "on eth9: it is down"),
            (
                Interface { supports_multicast: false, ..able("eth9", 9) },
                "on eth9: it does not support multicast",
            ),
            (Interface { has_ipv4: false, ..able("eth9", 9) }, "on eth9: it has no IPv4 address"),
            (able("eth0", 2), "on eth9: there is no such interface"),
        ] {
            let problem = format!("group 239.1.2.3%eth9 is not joined {what}");
            assert_eq!(planned("239.1.2.3%eth9", &[broken]), (vec![], Some(problem)));
        }
    }
}
