//! The receive buffer, and what the kernel dropped for want of room.

use bytesize::ByteSize;
use udpchat_api::call::Status;

use super::{Facts, Finding};
use crate::output::{counted, grouped};

const TOPIC: &str = "buffer";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let buffer = status.receive_buffer;
    let is_small = buffer.granted < buffer.asked;
    let size = |bytes| ByteSize::b(bytes).display().iec().to_string();
    let seen = match (is_small, facts.rmem_max) {
        (false, _) => format!("the receive buffer has {}, as asked", size(buffer.granted)),
        (true, Some(limit)) => format!(
            "the receive buffer has {} where {} are asked: net.core.rmem_max is {}",
            size(buffer.granted),
            size(buffer.asked),
            grouped(limit)
        ),
        (true, None) => {
            format!("the receive buffer has {} where {} are asked", size(buffer.granted), size(buffer.asked))
        }
    };
    let larger = format!(
        "`sudo sysctl -w net.core.rmem_max={}` (for good: in a file of /etc/sysctl.d), then start the daemon anew",
        buffer.asked
    );
    let busier =
        "a larger `receive_buffer` in the configuration holds larger bursts; each loss is a gap in the inbox";
    vec![match (status.kernel_drops, is_small) {
        (0, false) => Finding::ok(TOPIC, seen),
        (0, true) => Finding::warning(TOPIC, format!("{seen}; nothing was lost so far")).hint(larger),
        (_, true) => Finding::problem(TOPIC, format!("{}; {seen}", lost(status))).hint(larger),
        (_, false) => Finding::warning(TOPIC, format!("{}; {seen}", lost(status))).hint(busier),
    }]
}

fn lost(status: &Status) -> String {
    format!("the kernel had no room for {} since the start", counted(status.kernel_drops, "datagram"))
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::testing::{levels, text, with_status};
    use super::*;

    fn found(granted: u64, drops: u64) -> Vec<Finding> {
        let mut facts = with_status(|status| {
            status.receive_buffer.granted = granted;
            status.kernel_drops = drops;
        });
        facts.rmem_max = Some(212_992);
        findings(&facts)
    }

    #[test]
    fn a_small_buffer_is_a_problem_once_it_has_lost_something() {
        assert_eq!(levels(&found(8 << 20, 0)), [Fine]);
        assert_eq!(levels(&found(8 << 20, 1)), [Warning]);
        assert_eq!(levels(&found(212_992, 0)), [Warning]);
        let found = found(212_992, 7);
        assert_eq!(levels(&found), [Problem]);
        let expected = "the kernel had no room for 7 datagrams since the start; the receive buffer has 208.0 KiB where \
                        8.0 MiB are asked: net.core.rmem_max is 212,992";
        assert_eq!(text(&found), expected);
        assert!(found[0].hint.as_ref().unwrap().contains("sysctl -w net.core.rmem_max=8388608"));
    }
}
