//! Combinations that nobody thought of: options, environments, rules, programs and clients drawn at random, the same in
//! each run.

use std::time::{Duration, Instant};

use crate::{
    case::{Act, Case},
    common::say,
    story::same,
};

/// As many as are drawn on a machine that has nothing else to do, in this time.
const CASES: u32 = 250;
const TIME: Duration = Duration::from_secs(40);
/// At least so many, however busy it is.
const LEAST: u32 = 60;

/// xorshift64: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).expect("it is below n")
    }

    fn one_of<'a, T: ?Sized>(&mut self, these: &[&'a T]) -> &'a T {
        these[self.below(these.len())]
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

const FLAGS: &[&str] = &["v", "q", "Q", "o", "O", "d", "D", "R", "H", "P", "X", "1"];
const VALUES: &[&[&str]] = &[
    &["c1"],
    &["c", "7"],
    &["c040"],
    &["b5"],
    &["b", "1"],
    &["Bhello"],
    &["B", "2\r\n"],
    &["lname"],
    &["l", "a:b%"],
    &["l", ""],
    &["t", "3"],
    &["x", "rules.cdb"],
    &["x", "missing.cdb"],
    &["g", "65534"],
    &["u", "65534", "g", "65533"],
    &["U"],
];
const RULES: &[&str] = &[
    "",
    ":deny\n",
    "127.0.0.2:deny\n:allow,A=\"1\"\n",
    "127.0.0.:allow,TCPLOCALHOST=\"x\"\n127.:deny\n",
    "127.0.0.1-2:allow,A=\"range\",B=\"\"\n=:deny\n127.1.:allow\n:deny,C=\"d\"\n",
];
const PRELUDES: &[&str] =
    &["", "", "", "umask 027", "trap '' HUP USR2", "exec 8</dev/null", "cd /", "ulimit -n 64", "exec nice \"$@\""];
const PROGRAMS: &[&[&str]] = &[
    &["cat"],
    &["cat"],
    &["cat"],
    &["cat", "-u"],
    &["true"],
    &["false"],
    &["printf", "%s\\n", "a b", ""],
    &["no-such-program"],
    &["sh", "-c", "kill -9 $$"],
    &["sh", "-c", "echo said >&2; exit 9"],
    &["/etc"],
];

fn draw(dice: &mut Dice) -> Case {
    // Without lookups: those take long, and have tests of their own.
    let mut case = Case::new(dice.one_of(&["-RHl0", "-vRHl0", "-R -H -lx", "-vHRl0 -c3"]));
    for _ in 0..dice.below(4) {
        let mut cluster = String::from("-");
        for _ in 0..=dice.below(3) {
            cluster += dice.one_of(FLAGS);
        }
        match dice.percent(50) {
            true => case.options.push(cluster),
            false => {
                // The last letter of a cluster may have a value, attached or behind it.
                let value = VALUES[dice.below(VALUES.len())];
                for (at, word) in value.iter().enumerate() {
                    let letter = at % 2 == 0;
                    case.options.push(if at == 0 {
                        format!("{cluster}{word}")
                    } else if letter {
                        format!("-{word}")
                    } else {
                        word.to_string()
                    });
                }
            }
        }
    }
    if dice.percent(40) {
        case = case.rules(dice.one_of(RULES));
    }
    if dice.percent(20) {
        case = case.env("UID", "65534").env("GID", "65534");
    }
    for name in ["TCPREMOTEHOST", "TCPREMOTEINFO", "TCPLOCALHOST", "PROTO", "A", "Z"] {
        if dice.percent(20) {
            case = case.env(name, dice.one_of(&["", "old", "a=b"]));
        }
    }
    if dice.percent(20) {
        case.options.push("--".into());
    }
    case = case.prelude(dice.one_of(PRELUDES)).place(dice.one_of(&["0", "127.0.0.1", "", "127.0.0.1"]), "0");
    case.program = PROGRAMS[dice.below(PROGRAMS.len())].iter().map(ToString::to_string).collect();
    let looks = case.program[0] == "cat";
    let mut act = || {
        let from = [127, 0, dice.below(2) as u8, 1 + dice.below(3) as u8].into();
        if looks { Act::Look { from } } else { Act::Talk { from, say: "" } }
    };
    case.acts = vec![act(), act()];
    case
}

#[test]
fn combinations() {
    let start = Instant::now();
    let mut dice = Dice(0x7463_7073_6572_7665);
    let mut done = 0;
    while done < LEAST || done < CASES && start.elapsed() < TIME {
        same(&draw(&mut dice));
        done += 1;
    }
    if done < CASES {
        say(&format!("random::combinations: {done} of {CASES} combinations in {TIME:?}: the machine is busy"));
    }
}
