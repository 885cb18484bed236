//! Latencies in buckets that grow with the value, so that recording costs one increment and a
//! percentile is off by at most 1.6 %.

use std::time::Duration;

/// Buckets per doubling.
const STEPS: u64 = 64;

/// Counts of latencies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let bucket = bucket_of(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
            self.count += 1;
        }
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency that `per_cent` of all stay under or meet; zero if nothing was counted.
    pub(crate) fn percentile(&self, per_cent: u64) -> Duration {
        let rank = (self.count * per_cent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_end(bucket));
            }
        }
        Duration::ZERO
    }
}

/// Below [`STEPS`] each value has its bucket; above, each doubling has [`STEPS`] of them.
fn bucket_of(nanos: u64) -> usize {
    let bucket = if nanos < STEPS {
        nanos
    } else {
        let doublings = u64::from(nanos.ilog2() - STEPS.ilog2());
        STEPS * doublings + (nanos >> doublings)
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    if bucket < STEPS {
        return bucket;
    }
    let doublings = bucket / STEPS - 1;
    let mantissa = bucket - STEPS * doublings;
    (u128::from(mantissa + 1) << doublings)
        .saturating_sub(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Histogram, bucket_of, upper_end};
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn percentiles_of_a_known_series() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (per_cent, expected) in [(50, 500.0), (99, 990.0), (100, 1000.0)] {
            let found = histogram.percentile(per_cent).as_secs_f64() * 1e6;
            assert!(
                (expected..expected * 1.016).contains(&found),
                "p{per_cent}: {found} µs"
            );
        }
    }

    #[test]
    fn nothing_recorded_is_zero() {
        assert_eq!(Histogram::default().percentile(99), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_narrow(nanos in any::<u64>()) {
            let end = upper_end(bucket_of(nanos));
            prop_assert!(end >= nanos);
            prop_assert!(end - nanos <= nanos / 64 + 1);
            prop_assert!(nanos == 0 || bucket_of(nanos - 1) <= bucket_of(nanos));
        }
    }
}
