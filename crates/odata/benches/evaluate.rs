//! What a filter costs on an item that is parsed already.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tidings_odata::sample::{Fields, message};
use tidings_odata::{Filter, parse};

/// All five terms hold, so that none is left out.
const FIVE_TERMS: &str = "receivedDateTime ge 2026-01-01T00:00:00Z and isRead eq false and importance eq 'high' and \
                          from/emailAddress/address eq 'megan@contoso.test' and contains(subject,'report')";

fn evaluate(criterion: &mut Criterion) {
    let item = message();
    let filter = Filter::read(FIVE_TERMS, &Fields::Message).expect("a filter");
    assert!(filter.matches(&item));
    criterion.bench_function("five terms on an item", |bencher| {
        bencher.iter(|| black_box(&filter).matches(black_box(&item)));
    });
    criterion.bench_function("five terms read and checked", |bencher| {
        bencher.iter(|| Filter::check(&parse::filter(black_box(FIVE_TERMS)).expect("a filter"), &Fields::Message));
    });
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
