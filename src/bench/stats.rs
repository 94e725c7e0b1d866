//! From samples to a few numbers, exactly: values are sorted, nothing is binned or fitted.

/// What the samples of one method at one place come to. Values are in the unit that they were measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many samples there are.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// 5 % are no larger.
    pub p5: f64,
    /// Half are no larger.
    pub median: f64,
    /// 95 % are no larger.
    pub p95: f64,
    /// 99 % are no larger.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// How many are far out: beyond the quartiles by more than three times the distance between these (Tukey's far
    /// outliers). They count like all others.
    pub outliers: u64,
}

/// Samples, sorted, each value with how often it was seen.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    values: Vec<(f64, u64)>,
    count: u64,
}

impl Sorted {
    /// Sorts pairs of a value and how often it was seen. What is not a number is left out.
    pub fn new(samples: impl IntoIterator<Item = (f64, u64)>) -> Self {
        let mut values: Vec<(f64, u64)> =
            samples.into_iter().filter(|&(value, count)| value.is_finite() && count > 0).collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let count = values.iter().map(|&(_, count)| count).sum();
        Sorted { values, count }
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Each value with how often it was seen.
    pub fn pairs(&self) -> impl Iterator<Item = (f64, u64)> {
        self.values.iter().copied()
    }

    /// The smallest sample that `share` (0 to 1) of all are no larger than: the nearest rank, so always a value that was
    /// measured. 0 when there are no samples.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for &(value, count) in &self.values {
            seen += count;
            if seen >= rank {
                return value;
            }
        }
        0.0
    }

    /// The few numbers; `None` when there are no samples.
    pub fn summary(&self) -> Option<Summary> {
        let (&(min, _), &(max, _)) = (self.values.first()?, self.values.last()?);
        let (low, high) = (self.quantile(0.25), self.quantile(0.75));
        let far = 3.0 * (high - low);
        let is_far = |value: f64| value < low - far || value > high + far;
        Some(Summary {
            count: self.count,
            min,
            p5: self.quantile(0.05),
            median: self.quantile(0.5),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
            max,
            outliers: self.values.iter().filter(|&&(value, _)| is_far(value)).map(|&(_, count)| count).sum(),
        })
    }
}

/// The median of some values; 0 of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Sorted::new(values.into_iter().map(|value| (value, 1))).quantile(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(values: &[f64]) -> Sorted {
        Sorted::new(values.iter().map(|&value| (value, 1)))
    }

    #[test]
    fn ranks_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let summary = sorted(&hundred).summary().unwrap();
        let expected = [1.0, 5.0, 50.0, 95.0, 99.0, 100.0];
        assert_eq!([summary.min, summary.p5, summary.median, summary.p95, summary.p99, summary.max], expected);
        assert_eq!((summary.count, summary.outliers), (100, 0));
    }

    #[test]
    fn one_sample_is_all_of_them() {
        let summary = sorted(&[7.0]).summary().unwrap();
        assert_eq!([summary.min, summary.median, summary.p99, summary.max], [7.0; 4]);
        assert_eq!(sorted(&[]).summary(), None);
        assert_eq!(sorted(&[f64::NAN]).summary(), None);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn a_count_is_that_many_samples() {
        let pairs = Sorted::new([(2.0, 98), (1.0, 1), (9.0, 1)]);
        let spelled: Vec<f64> = [1.0].into_iter().chain([2.0; 98]).chain([9.0]).collect();
        assert_eq!(pairs.summary(), sorted(&spelled).summary());
        // Where the quartiles are equal, whatever differs is far out.
        assert_eq!(pairs.summary().unwrap().outliers, 2);
    }

    #[test]
    fn outliers_are_counted_and_kept() {
        let mut values: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i % 4)).collect();
        values.push(1000.0);
        let summary = sorted(&values).summary().unwrap();
        assert_eq!((summary.outliers, summary.max, summary.count), (1, 1000.0, 21));
    }
}
