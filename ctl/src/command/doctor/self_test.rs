//! Reports the self-test: the datagrams that the daemon sent to itself.

use udpchat_api::ErrorObject;
use udpchat_api::call::{SelfTest, SelfTestOutcome};
use udpchat_locale::{tr, translated};

use super::facts::Facts;
use super::finding::Finding;
use crate::command::status::is_full_disk;

const TOPIC: &str = "self-test";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let problems = facts.status().map(|status| status.problems.as_slice()).unwrap_or_default();
    let is_full = problems.iter().any(|problem| is_full_disk(problem));
    let tests = facts.self_tests().unwrap_or_default().iter().map(|test| check_self_test(test, is_full));
    tests.chain(facts.self_test_refused().map(refused)).collect()
}

fn refused(why: &ErrorObject) -> Finding {
    let reason = translated(&why.message);
    let finding = Finding::warning(TOPIC, tr!("not run: {reason}", reason));
    match &why.data.hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn check_self_test(test: &SelfTest, is_disk_full: bool) -> Finding {
    let to = test.to;
    match test.outcome {
        SelfTestOutcome::Received => {
            Finding::ok(TOPIC, tr!("a datagram to {to} arrived through the real port", to))
        }
        SelfTestOutcome::Denied => Finding::warning(
            TOPIC,
            tr!(
                "a datagram to {to} arrived, and the access list refused it: programs on this machine cannot send to the daemon",
                to
            ),
        )
        .hint(tr!("other machines may be allowed; `access.allow` with \"{ip}\" allows this one", ip = to.ip())),
        SelfTestOutcome::Lost => {
            Finding::problem(TOPIC, tr!("a datagram to {to} did not arrive, although it never left this machine", to))
                .hint(match is_disk_full {
                    true => tr!("the disk is full: the daemon receives again once it can store messages"),
                    false => tr!(
                        "possible causes: a firewall rule for loopback, a full receive buffer, another socket on that address"
                    ),
                })
        }
        SelfTestOutcome::NotSent => {
            let error = translated(test.error.as_deref().unwrap_or("unknown error"));
            Finding::warning(TOPIC, tr!("cannot send to {to}: {error}", to, error))
                .hint(tr!("this machine has no such address now, or its loopback interface is down"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Reach;
    use super::super::finding::Level::{Fine, Problem, Warning};
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
        assert!(found[2].hint.as_deref().unwrap().contains("firewall"));
        let Reach::Reached(reached) = &mut facts.daemon else { panic!() };
        reached.status.problems.push("the inbox cannot be written: database or disk is full".to_owned());
        assert!(findings(&facts)[2].hint.as_deref().unwrap().starts_with("the disk is full"));
    }
}
