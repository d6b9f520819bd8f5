//! The promises hold in every world, and a seed gives the same world each time.

use std::ops::ControlFlow;

use tidings_sim::{run, run_many};

const SEEDS: u64 = 20_000;

fn seeds() -> u64 {
    std::env::var("TIDINGS_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

fn threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64)
}

#[test]
fn every_promise_is_kept_in_twenty_thousand_worlds() {
    if let Some(report) = run_many(0, seeds(), threads(), None, &|_| ControlFlow::Continue(())) {
        panic!("{report}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..50 {
        let (first, second) = (run(seed, None, false), run(seed, None, false));
        let (first, second) = (first.expect("promises are kept"), second.expect("promises are kept"));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn seeds_differ() {
    let hash = |seed| run(seed, None, false).expect("promises are kept").trace_hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn worlds_are_rich() {
    let seeds = 200;
    let all: Vec<_> = (0..seeds).map(|seed| run(seed, None, false).expect("promises are kept")).collect();
    let sum = |of: fn(&tidings_sim::Summary) -> u64| all.iter().map(of).sum::<u64>();
    let (matches, attempts) = (sum(|one| one.endings.matches), sum(|one| one.attempts));
    println!("{matches} matches, {attempts} attempts, {} checkpoints", sum(|one| one.checkpoints));
    let (horizon, ended) = (sum(|one| one.endings.abandoned_horizon), sum(|one| one.endings.abandoned_ended));
    println!("{horizon} given up at the horizon, {ended} with their subscription");
    assert!(matches > 50 * seeds && attempts > 40 * seeds && horizon > seeds / 2 && ended > seeds);
    let of_resources = sum(|one| one.endings.of_resources);
    println!("{of_resources} told of resources outside of mailboxes");
    assert!(of_resources > 5 * seeds);
    let (paused, asked) = (sum(|one| one.endings.abandoned_paused), sum(|one| one.endings.asked));
    println!("{paused} fell into a pause; apps were asked {asked} times to reauthorize");
    assert!(paused > seeds / 2 && asked > seeds);
    let (dropped, held) = (sum(|one| one.endings.abandoned_dropping), sum(|one| one.endings.held));
    println!("{held} were held for a slow endpoint, {dropped} were dropped");
    assert!(held > seeds / 2 && dropped > seeds / 2);
    let overflowed = sum(|one| one.endings.abandoned_overflow);
    println!("{overflowed} were given up because too much was parked");
    let cut = sum(|one| one.endings.abandoned_retention);
    println!("{cut} were given up because a log was too long");
    assert!(overflowed > seeds / 2 && cut > seeds / 20);
    let injected = sum(|one| one.endings.abandoned_injected);
    println!("{injected} were not sent on purpose");
    assert!(injected > seeds);
    let missed = sum(|one| one.endings.missed);
    println!("{missed} times an app was told that it missed something");
    assert!(missed > seeds);
    let (large, unusable) = (sum(|one| one.endings.abandoned_too_large), sum(|one| one.endings.abandoned_unusable));
    let lost = sum(|one| one.endings.abandoned_access_lost);
    println!("{large} were told without their content, which was too large, {lost} since access to it was lost");
    println!("{unusable} were not told, since their content could not be sealed");
    assert!(large > seeds / 2 && unusable > seeds / 2 && lost > seeds / 20);
    let (events, given_up) = (sum(|one| one.endings.of_events), sum(|one| one.endings.abandoned_events));
    let kept = sum(|one| one.endings.dead_letters);
    println!("{events} events were to be pushed; {given_up} were given up, of which {kept} were kept");
    assert!(events > 5 * seeds && given_up > seeds / 2 && kept > seeds / 4);
    assert!(sum(|one| u64::from(one.restarts)) > seeds, "processes die");
}
