//! What a filter costs on an item that is parsed already.

use divan::{Bencher, black_box};
use tidings_odata::sample::{Fields, message};
use tidings_odata::{Filter, parse};

/// All five terms hold, so that none is left out.
const FIVE_TERMS: &str = "receivedDateTime ge 2026-01-01T00:00:00Z and isRead eq false and importance eq 'high' and \
                          from/emailAddress/address eq 'megan@contoso.test' and contains(subject,'report')";

fn main() {
    divan::main();
}

#[divan::bench]
fn five_terms_on_an_item(bencher: Bencher<'_, '_>) {
    let item = message();
    let filter = Filter::read(FIVE_TERMS, &Fields::Message).expect("a filter");
    assert!(filter.matches(&item));
    bencher.bench_local(|| black_box(&filter).matches(black_box(&item)));
}

#[divan::bench]
fn five_terms_read_and_checked(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Filter::check(&parse::filter(black_box(FIVE_TERMS)).expect("a filter"), &Fields::Message));
}
