//! How much is measured: what the options come to, the same in every process of a run.

/// What an experiment is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Everything in half a minute, to see that it works.
    pub quick: bool,
    /// How often each method has its turn.
    pub rounds: u32,
    /// The largest number of processes, descriptors or connections that are held at once.
    pub most_children: u32,
    /// How many measurements of each method, at each step, are thrown away before one counts.
    pub warm_up: u32,
    /// The processor that measuring processes stay on.
    pub pin: Option<usize>,
    /// Further servers, as shell commands with `{port}` in them.
    pub against: Vec<String>,
    /// Further servers that run already.
    pub urls: Vec<String>,
}

impl Plan {
    /// One value for a whole run, another for a quick one.
    pub fn pick<T>(&self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }

    /// 1, 10, 100 and so on up to `most`, which is the last whatever it is.
    pub fn decades(&self, most: u32) -> Vec<u32> {
        let powers = std::iter::successors(Some(1_u32), |x| x.checked_mul(10));
        powers.take_while(|&x| x < most).chain([most]).collect()
    }

    /// Every method in every round, each round in another order: a drift of the machine, or what one method leaves
    /// behind for the next, falls on all alike.
    pub fn turns<'m, M>(&self, methods: &'m [M]) -> impl Iterator<Item = (u32, &'m M)> + use<'m, M> {
        let rounds = self.rounds;
        (0..rounds).flat_map(move |round| {
            (0..methods.len()).map(move |i| (round, &methods[(i + round as usize) % methods.len()]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn plan(rounds: u32) -> Plan {
        Plan { quick: true, rounds, most_children: 10, warm_up: 0, pin: None, against: Vec::new(), urls: Vec::new() }
    }

    #[test]
    fn steps_end_at_the_most() {
        assert_eq!(plan(1).decades(1), [1]);
        assert_eq!(plan(1).decades(100), [1, 10, 100]);
        assert_eq!(plan(1).decades(250), [1, 10, 100, 250]);
    }

    #[test]
    fn methods_take_turns() {
        let turns: Vec<(u32, char)> = plan(2).turns(&['a', 'b', 'c']).map(|(round, &m)| (round, m)).collect();
        assert_eq!(turns, [(0, 'a'), (0, 'b'), (0, 'c'), (1, 'b'), (1, 'c'), (1, 'a')]);
        assert_eq!(plan(2).turns::<char>(&[]).count(), 0);
    }
}
