//! Runs the cases.

use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::operations::{Content, End, How, Operation, Place, operations};
use super::world::World;

/// How many cases run usually, and in the full campaign.
const CASES: (u32, u32) = (60, 2_000);

/// How long a failing case is simplified at most, in milliseconds.
const SIMPLIFIED_FOR_MS: u32 = 120_000;

#[test]
fn the_inbox_behaves_as_its_model() {
    let is_full = std::env::var("UDPCHAT_CAMPAIGN").is_ok_and(|campaign| campaign == "full");
    let seed = std::env::var("UDPCHAT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let cases = if is_full { CASES.1 } else { CASES.0 };
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        // A seed always makes the same cases.
        failure_persistence: None,
        max_shrink_time: SIMPLIFIED_FOR_MS,
        ..Config::default()
    };
    let began = std::time::Instant::now();
    let result = TestRunner::new(config).run(&operations(), |operations| {
        let mut world = World::new();
        operations.iter().for_each(|operation| world.apply(operation));
        world.finish();
        Ok(())
    });
    let seconds = began.elapsed().as_secs();
    assert!(result.is_ok(), "UDPCHAT_SEED={seed}: {}", result.unwrap_err());
    #[expect(clippy::print_stdout, reason = "a campaign says what it has run")]
    if is_full {
        println!("{cases} cases of seed {seed} in {seconds} s");
    }
}

#[test]
fn the_rest_of_a_transaction_lost_in_a_power_cut_is_no_damage() {
    let (first, all_but_the_first) = (Place(0), !1);
    let receive = |length| Operation::Receive { peer: 0, content: Content::Text(length), count: 1 };
    let end = |how| Operation::End(End { how, down_ns: 0, step_ns: 0, reboot: false });
    let mut world = World::new();
    for operation in [
        receive(10),
        Operation::Store,
        receive(60_000),
        end(How::PowerCut(first, all_but_the_first, first)),
        receive(20),
        Operation::Store,
        end(How::Kill),
    ] {
        world.apply(&operation);
    }
    world.finish();
}
