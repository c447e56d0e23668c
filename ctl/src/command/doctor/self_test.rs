//! What became of the datagrams that the daemon sent itself.

use udpchat_api::ErrorObject;
use udpchat_api::call::{SelfTest, SelfTestOutcome};

use super::{Facts, Finding};

const TOPIC: &str = "self-test";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let tests = facts.self_tests().unwrap_or_default().iter().map(judge);
    tests.chain(facts.self_test_refused().map(refused)).collect()
}

fn refused(why: &ErrorObject) -> Finding {
    let finding = Finding::warning(TOPIC, format!("it was not made: {}", why.message));
    match &why.data.hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn judge(test: &SelfTest) -> Finding {
    let to = test.to;
    match test.outcome {
        SelfTestOutcome::Received => {
            Finding::ok(TOPIC, format!("a datagram to {to} came in through the real port"))
        }
        SelfTestOutcome::Denied => Finding::warning(
            TOPIC,
            format!("a datagram to {to} came in, and the access list refused it: programs on this machine cannot send"),
        )
        .hint(format!("other machines may all the same; `access.allow` with \"{}\" lets it in", to.ip())),
        SelfTestOutcome::Lost => {
            Finding::problem(TOPIC, format!("a datagram to {to} did not come in, though it never left this machine"))
                .hint("a firewall rule for loopback, a full receive buffer, or another socket on that very address")
        }
        SelfTestOutcome::NotSent => {
            let error = test.error.as_deref().unwrap_or("it could not be sent");
            Finding::warning(TOPIC, format!("nothing could be sent to {to}: {error}"))
                .hint("this machine has no such address now, or its loopback interface is down")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::daemon::Reach;
    use super::super::testing::{facts, levels, text};
    use super::*;

    #[test]
    fn each_outcome_has_its_level() {
        let mut facts = facts();
        let Reach::Reached(reached) = &mut facts.daemon else { panic!() };
        let outcomes = [
            SelfTestOutcome::Received,
            SelfTestOutcome::Denied,
            SelfTestOutcome::Lost,
            SelfTestOutcome::NotSent,
        ];
        let test = |outcome| SelfTest {
            to: "127.0.0.1:7788".parse().unwrap(),
            outcome,
            error: Some("no way".to_owned()),
        };
        reached.self_tests = Some(outcomes.map(test).to_vec());
        let found = findings(&facts);
        assert_eq!(levels(&found), [Fine, Warning, Problem, Warning]);
        assert!(text(&found).contains("127.0.0.1:7788: no way"), "{found:?}");
    }
}
