//! What a configuration costs before the kernel sees it: building the prefix table,
//! looking addresses up in it, and the whole way from text to tables.
//!
//! `cargo bench -p poolguard-bench`

#![expect(clippy::unwrap_used, reason = "a panic says what is wrong")]

use std::{hint::black_box, path::Path};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use filter_common::{
    Address, Family,
    prefix_table::{Line, lookup_v4, lookup_v6},
};
use ipnet::IpNet;
use jiff::Timestamp;
use policy::{
    compile::{PrefixTable, compile},
    config::{Memory, load_from},
};
use poolguard_bench::customers::{FAMILIES, Layout, address, configuration, prefixes};

const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// Customers in the order in which tables are built of them.
fn sorted(layout: Layout, family: Family, count: u32) -> Vec<IpNet> {
    let mut prefixes: Vec<IpNet> = prefixes(layout, family, count).collect();
    prefixes.sort_unstable();
    prefixes
}

fn build(family: Family, prefixes: &[IpNet]) -> Vec<Line> {
    let mut table = PrefixTable::new(family);
    for (number, prefix) in (1..).zip(prefixes) {
        let answer = number % 16 + 1;
        table.insert(*prefix, answer);
    }
    table.into_lines().unwrap()
}

fn prefix_table(criterion: &mut Criterion) {
    for family in FAMILIES {
        for layout in Layout::COMMON {
            let name = |what| format!("{what} {family:?} {}", layout.name());
            let mut group = criterion.benchmark_group(name("build"));
            group.sample_size(10);
            for count in SIZES {
                group.throughput(Throughput::Elements(u64::from(count)));
                group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                    let prefixes = sorted(layout, family, count);
                    bencher.iter(|| build(family, &prefixes));
                });
            }
            group.finish();
            let mut group = criterion.benchmark_group(name("lookup"));
            for count in SIZES {
                let lines = build(family, &sorted(layout, family, count));
                group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                    let customers = layout.customers(family);
                    let mut random = 1_u64;
                    bencher.iter(|| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let index = ((random >> 32) * u64::from(count)) >> 32;
                        let address = Address::from(address(family, customers.nth(index)));
                        let line = |number: u32| lines.get(number as usize);
                        black_box(match family {
                            Family::V4 => lookup_v4(address, line),
                            Family::V6 => lookup_v6(address, line),
                        })
                    });
                });
            }
            group.finish();
        }
    }
}

fn text_to_tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("text to tables scattered");
    group.sample_size(10);
    for count in SIZES {
        let path = Path::new("poolguard.toml");
        let text = configuration(Layout::Scattered, count);
        let files = Memory::default().with(path, text.as_str());
        let now = Timestamp::now();
        group.bench_function(BenchmarkId::new("read", count), |bencher| {
            bencher.iter(|| load_from(&files, path, now).unwrap());
        });
        let intent = load_from(&files, path, now).unwrap().config.into();
        group.bench_function(BenchmarkId::new("compile", count), |bencher| {
            bencher.iter(|| compile(&intent, now).unwrap());
        });
    }
    group.finish();
}

criterion_group!(tables, prefix_table, text_to_tables);
criterion_main!(tables);
