//! Checks the receive buffer, and what the kernel dropped because it was full.

use udpchat_api::call::Status;
use udpchat_locale::tr;

use super::facts::Facts;
use super::finding::Finding;
use crate::output::{counted, grouped, size};

const TOPIC: &str = "buffer";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let Some(status) = facts.status() else { return Vec::new() };
    let buffer = status.receive_buffer;
    let is_small = buffer.granted < buffer.asked;
    let (granted, asked) = (size(buffer.granted), size(buffer.asked));
    let seen = match (is_small, facts.rmem_max) {
        (false, _) => tr!("the receive buffer has {granted}, as requested", granted),
        (true, Some(limit)) => tr!(
            "the receive buffer has {granted} instead of the requested {asked}: net.core.rmem_max is {limit}",
            granted,
            asked,
            limit = grouped(limit)
        ),
        (true, None) => {
            tr!("the receive buffer has {granted} instead of the requested {asked}", granted, asked)
        }
    };
    let larger = tr!(
        "run `sudo sysctl -w net.core.rmem_max={bytes}` (permanently: in a file in /etc/sysctl.d), then restart the daemon",
        bytes = buffer.asked
    );
    let busier = tr!(
        "a larger `receive_buffer` in the configuration absorbs larger bursts; each loss is a gap in the inbox"
    );
    vec![match (status.kernel_drops, is_small) {
        (0, false) => Finding::ok(TOPIC, seen),
        (0, true) => Finding::warning(TOPIC, tr!("{seen}; nothing has been lost so far", seen)).hint(larger),
        (_, true) => Finding::problem(TOPIC, tr!("{lost}; {seen}", lost = lost(status), seen)).hint(larger),
        (_, false) => Finding::warning(TOPIC, tr!("{lost}; {seen}", lost = lost(status), seen)).hint(busier),
    }]
}

fn lost(status: &Status) -> String {
    tr!(
        "the kernel dropped {datagrams} since the start because the buffer was full",
        datagrams = counted(status.kernel_drops, "datagram")
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
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
    fn a_small_buffer_is_a_problem_after_a_loss() {
        assert_eq!(levels(&found(8 << 20, 0)), [Fine]);
        assert_eq!(levels(&found(8 << 20, 1)), [Warning]);
        assert_eq!(levels(&found(212_992, 0)), [Warning]);
        let found = found(212_992, 7);
        assert_eq!(levels(&found), [Problem]);
        let expected = "the kernel dropped 7 datagrams since the start because the buffer was full; the receive buffer has \
                        208.0 KiB instead of the requested 8.0 MiB: net.core.rmem_max is 212,992";
        assert_eq!(text(&found), expected);
        assert!(found[0].hint.as_ref().unwrap().contains("sysctl -w net.core.rmem_max=8388608"));
    }
}
