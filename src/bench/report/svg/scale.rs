//! From numbers to places, and which numbers are written at an axis.

use crate::bench::experiment::{Scale as Spread, Unit};

/// One axis of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The numbers at both ends.
    from: f64,
    to: f64,
    /// Their places.
    start: f64,
    end: f64,
    spread: Spread,
    /// Memory goes by powers of two.
    step: f64,
}

impl Scale {
    /// Spreads all of these numbers, and a little more, between two places.
    pub fn over(values: impl Iterator<Item = f64> + Clone, spread: Spread, unit: Unit, places: (f64, f64)) -> Self {
        let most = values.clone().fold(0.0, f64::max);
        let step = if unit == Unit::Bytes { 1024.0 } else { 1000.0 };
        let (from, to) = match spread {
            Spread::Linear => (0.0, if most > 0.0 { most * 1.06 } else { 1.0 }),
            Spread::Log => {
                let least = values.filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
                let (least, most) = if least <= most { (least, most) } else { (1.0, 10.0) };
                if least == most { (least / 2.0, most * 2.0) } else { (least, most) }
            }
        };
        Scale { from, to, start: places.0, end: places.1, spread, step }
    }

    /// The same with some room at both ends, in parts of the whole; a linear one still begins with zero.
    pub fn loosen(mut self, part: f64) -> Self {
        if self.spread == Spread::Log {
            let factor = (self.to / self.from).powf(part);
            self.from /= factor;
            self.to *= factor;
        }
        self
    }

    /// Where a number is; at the edge if it is beyond.
    pub fn place(&self, value: f64) -> f64 {
        let part = match self.spread {
            Spread::Linear => (value - self.from) / (self.to - self.from),
            Spread::Log => (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln(),
        };
        self.start + (self.end - self.start) * part.clamp(0.0, 1.0)
    }

    /// Whether a number is beyond the far end.
    pub fn is_beyond(&self, value: f64) -> bool {
        value > self.to
    }

    /// Round numbers within the scale, about as many as asked for.
    pub fn ticks(&self, about: usize) -> Vec<f64> {
        match self.spread {
            Spread::Linear => self.linear_ticks(about),
            Spread::Log => self.log_ticks(about),
        }
    }

    fn linear_ticks(&self, about: usize) -> Vec<f64> {
        let rough = (self.to - self.from) / about as f64;
        let power =
            if self.step == 1024.0 { 2_f64.powf(rough.log2().ceil()) } else { 10_f64.powf(rough.log10().floor()) };
        let steps = if self.step == 1024.0 { &[1.0][..] } else { &[1.0, 2.0, 5.0, 10.0] };
        let step = steps.iter().map(|step| step * power).find(|&step| step >= rough * 0.999).unwrap_or(power);
        let count = (self.to / step + 0.001).floor() as usize;
        (0..=count).map(|i| i as f64 * step).collect()
    }

    fn log_ticks(&self, about: usize) -> Vec<f64> {
        let binary = self.step == 1024.0;
        let base: f64 = if binary { 2.0 } else { 10.0 };
        let first = self.from.log(base).floor() as i32;
        let last = self.to.log(base).ceil() as i32;
        let within = |&value: &f64| value >= self.from * 0.999 && value <= self.to * 1.001;
        let pick = |digits: &[f64], every: i32| -> Vec<f64> {
            let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
            powers.flat_map(|power| digits.iter().map(move |digit| digit * base.powi(power))).filter(within).collect()
        };
        let choices = if binary {
            vec![pick(&[1.0], 1), pick(&[1.0], 2), pick(&[1.0], 4), pick(&[1.0], 10)]
        } else {
            vec![
                pick(&[1.0, 2.0, 3.0, 5.0, 7.0], 1),
                pick(&[1.0, 2.0, 5.0], 1),
                pick(&[1.0, 3.0], 1),
                pick(&[1.0], 1),
                pick(&[1.0], 3),
            ]
        };
        let fitting = choices.iter().find(|ticks| ticks.len() <= about);
        fitting.or(choices.last()).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64], spread: Spread, unit: Unit) -> Scale {
        Scale::over(values.iter().copied(), spread, unit, (0.0, 100.0))
    }

    #[test]
    fn numbers_have_their_places() {
        let log = scale(&[1.0, 10.0, 100.0], Spread::Log, Unit::Count);
        assert_eq!(
            [1.0, 10.0, 100.0, 1000.0, 0.0].map(|value| log.place(value).round()),
            [0.0, 50.0, 100.0, 100.0, 0.0]
        );
        let linear = scale(&[0.0, 50.0], Spread::Linear, Unit::Count);
        assert_eq!(linear.place(0.0), 0.0);
        assert!(linear.place(50.0) > 90.0 && linear.is_beyond(60.0) && !linear.is_beyond(50.0));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(scale(&[1.0, 10_000.0], Spread::Log, Unit::Count).ticks(6), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(scale(&[20.0, 300.0], Spread::Log, Unit::Count).ticks(6), [20.0, 50.0, 100.0, 200.0]);
        assert_eq!(scale(&[95.0], Spread::Linear, Unit::Count).ticks(5), [0.0, 50.0, 100.0]);
        assert_eq!(scale(&[3.0], Spread::Linear, Unit::Count).ticks(5), [0.0, 1.0, 2.0, 3.0]);
        let memory = scale(&[1024.0, 1_048_576.0], Spread::Log, Unit::Bytes).ticks(6);
        assert_eq!(memory, [1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0]);
    }

    #[test]
    fn nothing_measured_is_no_harm() {
        for spread in [Spread::Linear, Spread::Log] {
            assert!(scale(&[], spread, Unit::Count).place(5.0).is_finite());
            assert!(scale(&[0.0], spread, Unit::Count).ticks(5).len() < 20);
            assert!(scale(&[7.0], spread, Unit::Count).place(7.0).is_finite());
        }
    }
}
